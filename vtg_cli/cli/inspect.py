"""vtg inspect: what keyframes have in common, told before anything is drawn."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from vtg_cli.cli import options as o
from vtg_cli.cli.console import result, result_json
from vtg_cli.errors import UsageError

if TYPE_CHECKING:
    from vtg_cli.quality.pair import Pair, Suggestion

KINDS = {
    "same": "the same picture",
    "recoloured": "nothing moves, light and colour change",
    "changed": "things turn into others",
    "near": "things move a little",
    "far": "things move far",
    "unrelated": "nothing in common",
}


def inspect(
    keyframes: o.KeyframeFiles,
    as_json: o.JsonOnly = False,
    debug: o.Debug = False,
) -> None:
    """Tell what pictures have in common and what to draw between them with.

    vtg inspect first.png last.png

    Of each two that follow each other: how alike they are, how far things move, how much of the
    difference that explains, and the model, method and number of frames that suit them.
    """
    from vtg_cli.media.image import fit, read_image
    from vtg_cli.quality import pair as pairs
    from vtg_cli.weights.store import available

    if len(keyframes) < 2:
        raise UsageError(
            "there is nothing to compare with one picture",
            "vtg inspect first.png last.png",
            subject="keyframes",
        )
    models = available()
    documents = []
    for first, last in pairwise(keyframes):
        a, b = read_image(first), read_image(last)
        height, width = a.shape[:2]
        pair = pairs.inspect(a, fit(b, height, width, "crop"))
        advice = pairs.suggestion(pair, models)
        if as_json:
            documents.append(_plain(first, last, pair, advice))
        else:
            result(*_lines(first, last, pair, advice))
    if as_json:
        result_json({"pairs": documents}, indent=2)


def _plain(first: str, last: str, pair: Pair, advice: Suggestion) -> dict[str, Any]:
    numbers = {
        name: round(value, 3) if isinstance(value, float) else value
        for name, value in asdict(pair).items()
    }
    numbers["shift"] = [round(value, 3) for value in pair.shift]
    return {
        "first": first,
        "last": last,
        "kind": pair.kind,
        **numbers,
        "suggested": asdict(advice),
    }


def _lines(first: str, last: str, pair: Pair, advice: Suggestion) -> Iterator[str]:
    x, y = pair.shift
    options = [f"--model {advice.model}", f"--frames {advice.frames}"]
    options += [f"--method {advice.method}"] if advice.method else []
    yield f"{first} to {last}: {KINDS[pair.kind]}"
    yield f"  similarity  SSIM {pair.ssim:.2f} as they stand; {pair.shared:.0%} is found again"
    yield (
        f"  motion      {pair.motion:.1f} px in the median ({x:+.1f} across, {y:+.1f} down), "
        f"95 % up to {pair.farthest:.1f} px of {pair.side}"
    )
    yield f"  explained   {pair.moved:.0%} of the difference is motion"
    yield f"  colour gap  {pair.colour_gap:.1f} in CIE Lab (2.3 can just be seen)"
    yield f"  suggested   {' '.join(options)}"
    yield f"              {advice.reason}"
