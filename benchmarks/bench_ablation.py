"""What each part of the embedded model and of VTG does on it: every part off, or on, in turn.

    python benchmarks/bench_ablation.py --out DIR

One pair for each task: the lake (in-betweening, whose truth is painted), a fruit (morph), a tower
(blend), the lake and the city (transition). Tables to stderr, a strip of in-between frames per task
to DIR, JSON as the last line. Columns:

    endpoints    PSNR of the first and last frame against the keyframes, as the model made them
                 (`--endpoints model`), in dB
    smoothness   one less the Gini coefficient of the distances between neighbours
    sharpness    of the middle frame, by that of the keyframes
    change       of the frames in between against `default`, mean absolute, in code values of 255
    PSNR         of the frames in between against the truth, where there is one

Frames are evenly timed; the ease of the presets is left out, as it would only change when a frame
is shown.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from bench_embedded import (
    EXAMPLES,
    Clip,
    Picture,
    psnr,
    rounded,
    save,
    score,
    strips,
    table,
    use_threads,
)
from torch import Tensor

from vtg_cli.backbones.base import Backbone, load
from vtg_cli.backbones.tiny import guide
from vtg_cli.backbones.tiny.guide import Carried
from vtg_cli.conditioning.keyframes import Keyframes
from vtg_cli.conditioning.text import keyframe_weights
from vtg_cli.flow import correspondence
from vtg_cli.flow.anchored import enlarge
from vtg_cli.flow.correspondence import Correspondence
from vtg_cli.ground.hooks import overriding
from vtg_cli.ground.tensor import to_pixels
from vtg_cli.job.sampling import Sampling
from vtg_cli.media.image import fit, read_image
from vtg_cli.methods.papers import render
from vtg_cli.training.pair import fit_pair, still_conds
from vtg_cli.training.pair_cache import DEFAULTS, PairSettings
from vtg_cli.training.pair_layers import applied
from vtg_cli.weights import delta
from vtg_cli.weights.catalog import EMBEDDED_FOLDER
from vtg_cli.weights.layout import REVERSE

FRAMES, SIZE = 9, (144, 256)
COLUMNS = 4
TASKS = {
    "in-betweening": ("lake_a", "lake_b"),
    "morph": ("pairs/fruit_a", "pairs/fruit_b"),
    "blend": ("pairs/tower_a", "pairs/tower_b"),
    "transition": ("lake_a", "city"),
}


@dataclass(frozen=True, kw_only=True)
class Parts:
    """What a row draws with. motion: how the keyframes are brought into place: "landmarks" (the
    default), "near" (as the draft engine, without landmarks) or "none".
    """

    sampling: Sampling = field(default_factory=lambda: Sampling(method="gi"))
    with_delta: bool = True
    motion: str = "landmarks"
    network: bool = True
    detail: bool = True
    lora: bool = False


def _noise(**settings: Any) -> Sampling:
    return Sampling(method="gi", temperature=1.0, **settings)


ROWS = {
    "default": Parts(),
    "- delta": Parts(with_delta=False),
    "- turned attention": Parts(sampling=Sampling(method="trf"), with_delta=False),
    "- fusion": Parts(sampling=Sampling(method="i2v"), with_delta=False),
    "- landmarks": Parts(motion="near"),
    "- motion guide": Parts(motion="none"),
    "- network": Parts(network=False),
    "- keyframe detail": Parts(detail=False),
    "+ flow start": Parts(sampling=_noise(init="flow")),
    "+ random noise": Parts(sampling=_noise(init="random")),
    "+ slerp noise": Parts(sampling=_noise(init="slerp")),
    "+ pair LoRA": Parts(lora=True),
    "+ noise and LoRA": Parts(sampling=_noise(init="random"), lora=True),
}
"""A row with "-" is the default without that part, one with "+" has it besides. A row without
turned attention has no use for the delta; the rows with noise start from all of it
(`--temperature 1`), as larger models do."""


Motions = dict[tuple[str, bytes], Callable[[float], Carried]]
"""Which motion, between which pictures -> the keyframes carried along it."""


@contextmanager
def drawing(m: Backbone, parts: Parts, known: Motions) -> Iterator[None]:
    """The model without what the parts leave out, while open. known: kept for the next row."""

    def carry(
        first: Picture, last: Picture, learned: guide.Learned | None = None
    ) -> Callable[[float], Carried]:
        key = parts.motion, first.tobytes() + last.tobytes()
        if key not in known:
            with patch("vtg_cli.flow.splatting.correspond", MOTIONS[parts.motion]):
                known[key] = cache(guide.carry(first, last, learned))
        return known[key]

    with ExitStack() as stack:
        stack.enter_context(patch("vtg_cli.backbones.tiny.model.carry", carry))
        if not parts.detail:
            stack.enter_context(patch("vtg_cli.backbones.tiny.model.anchored", plainly))
        if not parts.network:
            stack.enter_context(overriding([m.network], silent))
        yield


def near(first: Picture, last: Picture, *, far: bool = False) -> Correspondence:
    return correspondence.correspond(first, last)


def unmoved(first: Picture, last: Picture, *, far: bool = False) -> Correspondence:
    """What the engine finds between pictures that share nothing."""
    found = correspondence.correspond(first, last)
    nothing, none = np.zeros_like(found.forward), np.zeros_like(found.trust_first)
    return Correspondence(nothing, nothing, none, none)


MOTIONS: Mapping[str, Callable[..., Correspondence]] = {
    "landmarks": correspondence.correspond,
    "near": near,
    "none": unmoved,
}


def plainly(z: Tensor, ahead: Tensor, back: Tensor) -> Tensor:
    """Decoding that looks at no keyframe."""
    return enlarge(z, (ahead.shape[-2], ahead.shape[-1]))


def silent(network: Any, forward: Any, x: Tensor, t: float) -> Tensor:
    """A network that has nothing to say against the guide."""
    return x.new_zeros(*x.shape[:2], network.shape.outputs, *x.shape[3:])


@contextmanager
def fitted(
    m: Backbone, keys: Keyframes, parts: Parts, settings: PairSettings, kept: Path
) -> Iterator[None]:
    """With both keyframes' updates, mixed frame by frame, in both directions of time. kept: for the
    rows of one run.
    """
    if not parts.lora:
        yield
        return
    conds = still_conds(m, keys, settings=settings)
    pair = fit_pair(m, keys, conds, settings, identity="this run's model", cache=kept)
    shares = keyframe_weights(keys.positions, keys.length)
    both = torch.stack([shares, shares.flip(1)], 1)
    with applied(m, pair, both.unbind()):
        yield


def drawn(
    folder: Path, clip: Clip, parts: Parts, settings: PairSettings, known: Motions, kept: Path
) -> Picture:
    """A model of its own for each row: it remembers the motion between two keyframes."""
    reverse = delta.load(folder / REVERSE) if parts.with_delta else None
    m = load(folder, device="cpu", reverse=reverse)
    keys = Keyframes.ends(to_pixels(clip.first), to_pixels(clip.last), clip.frames)
    with drawing(m, parts, known), fitted(m, keys, parts, settings, kept):
        return render(m, keys, parts.sampling)


def task(name: str) -> Clip:
    first, last = (fit(read_image(EXAMPLES / f"{end}.jpg"), *SIZE, "crop") for end in TASKS[name])
    truth = painted() if name == "in-betweening" else None
    return Clip(name, first, last, FRAMES, truth)


def painted() -> Picture:
    """The lake at every moment (scripts/make_examples.py)."""
    file = EXAMPLES.parent / "scripts" / "make_examples.py"
    spec = importlib.util.spec_from_file_location(file.stem, file)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    times = np.linspace(0, 1, FRAMES)
    return np.stack([fit(module.lake(float(t)), *SIZE, "crop") for t in times])


def measures(clip: Clip, made: Picture, default: Picture) -> dict[str, float]:
    found = score(clip, made, {"psnr": psnr})
    ends = made[[0, -1]]
    out = {
        "endpoints": psnr(ends, np.stack([clip.first, clip.last])),
        "smoothness": found.smoothness,
        "sharpness": found.sharpness,
        "change": float(np.abs(made[1:-1].astype(float) - default[1:-1]).mean()),
    }
    return out | ({} if found.psnr is None else {"PSNR": found.psnr})


def rows_of(found: Mapping[str, Mapping[str, float]]) -> list[list[str]]:
    names = list(next(iter(found.values())))
    digits = {"endpoints": 1, "smoothness": 3, "sharpness": 2, "change": 2, "PSNR": 2}
    cells = [[row, *(f"{v[n]:.{digits[n]}f}" for n in names)] for row, v in found.items()]
    return [["row", *names], *cells]


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--model", type=Path, default=EMBEDDED_FOLDER, help="a tiny model's folder")
    parser.add_argument("--tasks", default=",".join(TASKS), help="with commas between")
    parser.add_argument("--rows", default=",".join(ROWS), help="with commas between")
    parser.add_argument(
        "--fit-steps", type=int, default=DEFAULTS.steps, help="of a keyframe's LoRA"
    )
    parser.add_argument("--out", type=Path, help="folder for the strips")
    args = parser.parse_args(arguments)
    card: dict[str, Any] = {"benchmark": "ablation", "frames": FRAMES, "size": list(SIZE)}
    use_threads(1, with_torch=True)
    with tempfile.TemporaryDirectory() as kept:
        compare(args, Path(kept), card)
    print(json.dumps(rounded(card)))


def compare(args: argparse.Namespace, kept: Path, card: dict[str, Any]) -> None:
    """All tasks; their measures go into the card."""
    settings = PairSettings(steps=args.fit_steps)
    rows = ["default", *(row for row in args.rows.split(",") if row != "default")]
    for name in args.tasks.split(","):
        clip = task(name)
        made: dict[str, Picture] = {}
        found: dict[str, dict[str, float]] = {}
        known: Motions = {}
        for row in rows:
            print(f"{name}: {row}", file=sys.stderr)
            made[row] = drawn(args.model, clip, ROWS[row], settings, known, kept)
            found[row] = measures(clip, made[row], made["default"])
            print(json.dumps(rounded(found[row])), file=sys.stderr, flush=True)
            if args.out:  # as far as it is: the last rows take longest
                between = {row: frames[1:-1] for row, frames in made.items()}
                save(args.out / f"ablation_{name}.png", strips([(name, between)], [*made], COLUMNS))
        card[name] = found
        print(table(name, rows_of(found)), file=sys.stderr)


if __name__ == "__main__":
    main()
