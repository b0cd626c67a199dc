"""The keyframe contract: a clip opens and closes with its keyframes, and nothing pops there.

Replacing the first and last generated frame by the keyframes leaves the frames between them off
colour, a visible jump. So first a gain and an offset per channel are measured at either end,

    keyframe ~ gain * generated + offset,

and the two, mixed along the time between the ends, are applied to every frame. The fit looks at
averages over cells of the picture, not at pixels, gives little weight to cells that changed, and
counts only for as much of the difference as it explains: where the pictures differ in content there
is next to nothing to correct.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vtg_cli.errors import UsageError

MODES = ("exact", "blend", "model")
CELLS = 32  # along the longer side
GAIN = 0.25  # corrections are limited: gain to 1 +- this,
OFFSET = 32.0  # the shift of the mid-tone to this many code values
FADE = 3  # frames next to each end that mode "blend" touches
FLAT = 1.0  # code values a picture must vary by before a gain can be told from an offset


@dataclass(frozen=True)
class AnchorReport:
    """The way a clip met its keyframes."""

    endpoint_psnr_first: float
    endpoint_psnr_last: float
    seam_first: float
    seam_last: float


def anchor(
    frames: NDArray[Any], first: NDArray[np.uint8], last: NDArray[np.uint8], mode: str
) -> tuple[NDArray[np.uint8], AnchorReport]:
    """Hold a generated clip to its keyframes; return its frames, uint8 [N, H, W, C], and a report.

    frames: [N, H, W, C], N >= 2, uint8 or float32 code values 0 to 255
    first, last: uint8 [H, W, C], C 1 to 4; with 2 or 4 channels the last one is straight alpha,
        which is never corrected
    mode: "exact" corrects the colours and puts the keyframes in place of the ends; "blend" also
        lets what still differs at the ends fade over the next few frames; "model" changes nothing

    An end frame that equals its keyframe needs no correction; a clip exact at both ends comes back
    bit for bit. Raises UsageError for other modes or shapes.
    """
    if mode not in MODES:
        raise UsageError(f"endpoints {mode!r} is not known", f"one of {', '.join(MODES)}")
    if frames.ndim != 4 or len(frames) < 2 or not first.shape == last.shape == frames.shape[1:]:
        raise UsageError(
            f"frames {frames.shape} do not fit keyframes {first.shape} and {last.shape}",
            "give [N, H, W, C] with N >= 2 and two keyframes [H, W, C]",
        )
    psnrs = psnr(frames[0], first), psnr(frames[-1], last)
    out = _to_uint8(frames) if mode == "model" else _held(frames, first, last, fade=mode == "blend")
    return out, AnchorReport(*psnrs, *seams(out))


def psnr(a: NDArray[Any], b: NDArray[Any]) -> float:
    """Compute the PSNR of code values 0 to 255 in dB; inf if they are equal."""
    error = float(np.mean(np.square(a.astype(np.float32) - b), dtype=float))
    return float("inf") if error == 0 else 10 * float(np.log10(255**2 / error))


def seams(frames: NDArray[np.uint8]) -> tuple[float, float]:
    """Return the first and the last step over the median step between neighbours; 1 in a still."""
    steps = [_step(a, b) for a, b in pairwise(frames)]
    usual = float(np.median(steps))

    def ratio(step: float) -> float:
        return step / usual if usual else float("inf") if step else 1.0

    return ratio(steps[0]), ratio(steps[-1])


def _step(a: NDArray[np.uint8], b: NDArray[np.uint8]) -> float:
    return float(np.mean(np.maximum(a, b) - np.minimum(a, b), dtype=float))


def _to_uint8(frames: NDArray[Any]) -> NDArray[np.uint8]:
    if frames.dtype == np.uint8:
        return frames
    out = np.empty(frames.shape, np.uint8)
    for i, frame in enumerate(frames):
        out[i] = np.clip(np.round(frame), 0, 255)
    return out


def _held(
    frames: NDArray[Any], first: NDArray[np.uint8], last: NDArray[np.uint8], *, fade: bool
) -> NDArray[np.uint8]:
    colours = first.shape[2] - (first.shape[2] in (2, 4))
    tones = _tone(frames[0], first), _tone(frames[-1], last)
    keys, ends = (first, last), (frames[0], frames[-1])
    rests = [
        key[..., :colours] - _toned(end[..., :colours], tone)
        for key, end, tone in zip(keys, ends, tones, strict=True)
        if fade
    ]
    out: NDArray[np.uint8] = _to_uint8(frames).copy()
    steps = len(frames) - 1
    for i in range(1, steps):
        tone = (1 - i / steps) * tones[0] + i / steps * tones[1]
        colour = _toned(frames[i, ..., :colours], tone)
        for rest, far in zip(rests, (i, steps - i), strict=False):
            if far <= FADE:
                colour = colour + np.float32(1 - far / (FADE + 1)) * rest
        out[i, ..., :colours] = np.clip(np.round(colour), 0, 255)
    out[0], out[-1] = keys
    return out


def _toned(colour: NDArray[Any], tone: NDArray[np.float64]) -> NDArray[np.float32]:
    gain, offset = tone.astype(np.float32)
    return np.asarray(colour.astype(np.float32) * gain + offset)


def _tone(frame: NDArray[Any], key: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Return [2, colours]: gain and offset that bring `frame` to `key`; 1 and 0 if equal."""
    colours = key.shape[2] - (key.shape[2] in (2, 4))
    weight = _cells(key[..., -1:]) if colours < key.shape[2] else None
    tones = [
        _fitted(_cells(frame[..., k : k + 1]), _cells(key[..., k : k + 1]), weight)
        for k in range(colours)
    ]
    return np.asarray(np.array(tones, dtype=float).T)


def _cells(channel: NDArray[Any]) -> NDArray[np.float64]:
    """Average a channel [H, W, 1] over a grid of at most CELLS x CELLS cells; returns [cells]."""
    h, w = channel.shape[:2]
    size = max(1.0, max(h, w) / CELLS)  # pixels along a cell
    rows, columns = (np.linspace(0, n, max(1, round(n / size)) + 1).astype(int) for n in (h, w))
    sums = np.add.reduceat(channel[..., 0].astype(float), rows[:-1], axis=0)
    sums = np.add.reduceat(sums, columns[:-1], axis=1)
    return np.ravel(sums / np.outer(np.diff(rows), np.diff(columns)))


def _fitted(
    x: NDArray[np.float64], y: NDArray[np.float64], weight: NDArray[np.float64] | None
) -> tuple[float, float]:
    """Fit y ~ gain x + offset robustly, limited, and only as far as it explains the difference."""
    gap = y - x
    if not gap.any():
        return 1.0, 0.0
    base = np.ones_like(x) if weight is None else weight + 1e-3
    w = base / base.sum()
    for _ in range(10):  # iteratively reweighted least squares with Geman and McClure's weights
        middle, shift = w @ x, w @ gap
        slope = (w * (x - middle)) @ gap / (w @ np.square(x - middle) + FLAT**2)
        rest = np.square(gap - shift - slope * (x - middle))
        w = base / np.square(1 + rest / (4 * np.median(rest) + 1))
        w /= w.sum()
    before, after = w @ np.square(gap), w @ rest
    share = max(0.0, 1 - after / before) if before else 0.0
    slope = share * float(np.clip(slope, -GAIN, GAIN))
    return 1 + slope, share * float(np.clip(shift, -OFFSET, OFFSET)) - slope * float(middle)
