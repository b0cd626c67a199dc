"""Kinds of in-betweens by name: jobs of `interpolate` with other values where none were given.

    name        always              with a model that reads captions
    morph       ease-in-out         slerp noise kept for a fifth of the steps
    blend       ease-in-out         slerp noise for two fifths, captions that turn slowly at first
    transition                      noise of its own in every frame: the pictures share no layout

VTG (arXiv 2508.01698) has one setting for all three and leaves these numbers open; they are ours.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

from vtg_cli.job.jobs import Interpolate
from vtg_cli.job.sampling import Sampling


@dataclass(frozen=True)
class Preset:
    """A kind of in-betweens by name.

    always: option name -> value in place of the default
    reading: the same for a model that reads captions
    help: of its command
    """

    name: str
    help: str
    always: Mapping[str, Any] = field(default_factory=dict)
    reading: Mapping[str, Any] = field(default_factory=dict)

    def applied(
        self, job: Interpolate, options_given: Collection[str], *, model: str, reads: bool
    ) -> tuple[Interpolate, tuple[str, ...]]:
        """Return the job with the preset's values where the user gave none, and caption notes.

        options_given: names of options the user gave
        model: its name
        reads: whether the model takes captions; if not, they are left out
        """
        values = {**self.always, **(self.reading if reads else {})}
        values = {name: value for name, value in values.items() if name not in options_given}
        if job.fast:
            values.pop("lora", None)
        if "strength" in options_given or (
            "init" in options_given and job.sampling.init != "slerp"
        ):
            values = {n: v for n, v in values.items() if n not in ("init", "init_until")}
        names = {f.name for f in fields(Sampling)}
        sampling = {name: value for name, value in values.items() if name in names}
        rest = {name: value for name, value in values.items() if name not in names}
        job = replace(job, **rest, sampling=replace(job.sampling, **sampling))
        if job.prompts and not reads:
            return replace(job, prompts=()), (
                f"note: {model} takes no text, so the captions change nothing: what the pictures "
                "share moves, the rest dissolves",
            )
        if reads and not job.prompts:
            return job, (
                "note: no captions, so the pictures alone lead; what is in between gets no "
                "guidance by words",
            )
        return job, ()


PRESETS = (
    Preset(
        "morph",
        """Turn one thing into another, picture by picture.

        vtg morph lion.png truck.png --from "a lion" --to "a truck" -o clip.mp4

        It is vtg interpolate with other defaults: --ease ease-in-out and, with a model that takes
        text, --init slerp --init-until 0.2 --lora fit. --fast leaves the fit out.
        """,
        always={"ease": "ease-in-out"},
        reading={"init": "slerp", "init_until": 0.2, "lora": "fit"},
    ),
    Preset(
        "blend",
        """Blend two ideas: halfway there is something of both.

        vtg blend lion.png truck.png --from "a lion" --to "a truck" -o clip.mp4

        It is vtg interpolate with other defaults: --ease ease-in-out and, with a model that takes
        text, --init slerp --init-until 0.4 --text-curve ease-in-out --lora fit. --fast leaves the
        fit out.
        """,
        always={"ease": "ease-in-out"},
        reading={
            "init": "slerp",
            "init_until": 0.4,
            "text_curve": "ease-in-out",
            "lora": "fit",
        },
    ),
    Preset(
        "transition",
        """Lead from one scene to another.

        vtg transition hill.png city.png --from "a hill" --to "a city" -o clip.mp4

        It is vtg interpolate with captions and, with a model that takes text, --init random.
        """,
        reading={"init": "random"},
    ),
)
