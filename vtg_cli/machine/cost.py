"""The cost model: a clip's peak memory and time before it is drawn, from counts alone.

    seconds = start + takes * sum over segments of
                (setting out + evaluations * network + frames * pixels * drawing)
    bytes   = start + weights + what the largest segment works with

and of a GPU, the weights on it and what works there, at a rung of the memory ladder
(machine/rungs.py): what `--dry-run` tells, `--memory auto` begins by and `--model auto` chooses by.

Linear in the counts but for attention, which grows with the square of a frame's latents. What one
count costs stands in the Rates of each kind of model, fitted on a CPU; how far off they are, and on
which machine: benchmarks/results/plan.md. On a GPU it is the same work at an assumed rate.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from vtg_cli.machine.rungs import NAMED, RESIDENT, Rung

Basis = Literal["fitted", "estimated, unmeasured"]
Fit = Literal["fits", "tight", "too much"]


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """The size of a diffusion model.

    core, codec, rest: numbers in its denoising network, its autoencoder, everything else
    bytes: all of them in memory, in the precision they run in
    width: channels at the full size of the latents; factor: pixels along the side of a latent
    codec_width: channels of the autoencoder at the picture's full size
    decoded: frames that the autoencoder decodes at a time by default
    """

    core: int
    codec: int = 0
    rest: int = 0
    bytes: int
    width: int
    factor: int
    codec_width: int = 0
    decoded: int = 1


@dataclass(frozen=True, kw_only=True)
class Rates:
    """The cost of each count for one kind of model: seconds on one core, and bytes.

    start: imports and loading; segment: setting out on one
    near: a pixel of its canvas among the first `known`, where motion is searched
    near_frame: the same for every frame; pixel: each pixel of the canvas
    tower: a number of the parts that the keyframes pass once
    call: an evaluation; weight: a number of the core in it; place: a latent in it and a channel
    product: a latent and a number of the core; look: two latents of a frame and a channel
    most: the most latents of a frame, where the model sets a bound
    frame: a pixel of a frame; codec: such a pixel and a number of the autoencoder
    trained: share of the core's numbers that training reverse motion trains
    kept, kept_again: numbers that wait for the gradient, for each latent of a frame and channel;
        where blocks are computed again
    fitted: whether to measurements, or assumed
    *_bytes: the same in memory; place_bytes for a byte of a number, decode_bytes for a pixel
        decoded at a time and a channel of the autoencoder
    """

    start: float
    fitted: bool = True
    segment: float = 0.0
    known: int = 0
    near: float = 0.0
    near_frame: float = 0.0
    pixel: float = 0.0
    tower: float = 0.0
    call: float = 0.0
    weight: float = 0.0
    place: float = 0.0
    product: float = 0.0
    look: float = 0.0
    most: int | None = None
    frame: float = 0.0
    codec: float = 0.0
    start_bytes: float
    near_bytes: float = 0.0
    pixel_bytes: float = 0.0
    place_bytes: float = 0.0
    frame_bytes: float = 0.0
    decode_bytes: float = 0.0
    trained: float = 0.0
    kept: float = 0.0
    kept_again: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Work:
    """Segments that are drawn in one way.

    rates: of its kind of model; device: "cpu", "cuda", "cuda:1", "mps"; model: None for flow
    segments: frames of each, both keyframes included; drawn: frames the model draws for each
    size, canvas: (height, width) of the clip, and of what the model draws
    evaluations, singles: calls of the network on whole clips, and on single frames
    fits: training steps on single frames before that
    batch: clips in the network at a time; item: bytes of a number in it
    terms: guidance terms that run side by side where the rung allows it
    chunk: frames decoded at a time as the user set it; rung: of the memory ladder
    takes: how often each segment is drawn
    """

    rates: Rates
    device: str
    segments: tuple[int, ...]
    drawn: tuple[int, ...]
    size: tuple[int, int]
    canvas: tuple[int, int]
    model: Sizes | None = None
    evaluations: int = 0
    singles: int = 0
    fits: int = 0
    batch: int = 1
    terms: int = 1
    item: int = 4
    chunk: int | None = None
    rung: Rung = NAMED["chunked"]
    takes: int = 1


@dataclass(frozen=True, kw_only=True)
class Cost:
    """The predicted cost of a clip.

    memory: bytes of this process at its peak; gpu: bytes of the GPU, None where there is none
    seconds: from the command to its end, on a machine with nothing else to do
    memory_within, seconds_within: the truth lies between a figure divided and multiplied by this
    """

    memory: int
    gpu: int | None
    seconds: float
    memory_within: float
    seconds_within: float
    basis: Basis


MIB = 2.0**20
U_NET = Rates(
    start=6.0,
    segment=0.2,
    tower=1.2e-8,
    call=0.05,
    weight=4.5e-9,
    place=6e-7,
    product=1.7e-12,
    look=3.5e-10,
    frame=5e-6,
    codec=8.5e-13,
    start_bytes=525 * MIB,
    pixel_bytes=100,
    place_bytes=18,
    frame_bytes=24,
    decode_bytes=39,
    trained=0.0163,  # 24,780,800 of 1,524,623,082 (counted)
    kept=130,
    kept_again=40,
)
"""Rates of a U-Net with some 10^9 numbers."""
SPARE = 0.9
"""Share of a GPU's memory that is counted on."""

WITHIN, ASSUMED_WITHIN = (1.3, 2.0), (2.0, 4.0)
"""Memory and time of what was fitted, more than benchmarks/results/plan.md found, for machines
differ; the same of what was not measured."""
ABREAST = 0.7
"""Exponent of the number of cores: n cores are worth n to this power to a network. Assumed."""
TRAINED = 3
"""Cost of a training step, in evaluations."""
FLOPS_A_CORE = 4.8e10
"""Operations a second that the rates come to: a look is some 17 operations; a product 0.08 of one,
as a U-Net has most of its numbers where latents are few."""
FLOPS = {"cuda": 5e13, "mps": 4e12}
"""Operations a second in half precision. Assumed; a quarter of it in single precision."""
GPU_START, GPU_START_BYTES = 10.0, 1.5e9
"""Seconds for imports and loading, and the bytes they take in this process. Assumed."""


def predict(parts: Sequence[Work], cores: int = 1) -> Cost:
    """Predict the cost of parts drawn in turn by one process, which keeps every model.

    cores: cores available, 1 or more; two threads of one core count as one
    """
    gpu = any(part.device != "cpu" for part in parts)
    weights = sum({(part.rates, part.model): _loaded(part) for part in parts}.values())
    each = [_working(part) for part in parts]
    host = max(frames for frames, _ in each) if gpu else max(sum(pair) for pair in each)
    start = GPU_START_BYTES if gpu else max(part.rates.start_bytes for part in parts)
    begin = GPU_START if gpu else max(part.rates.start for part in parts)
    fitted = not gpu and all(part.rates.fitted for part in parts)
    memory_within, seconds_within = WITHIN if fitted else ASSUMED_WITHIN
    return Cost(
        memory=round(start + weights + host),
        gpu=max(map(on_device, parts)) if gpu else None,
        seconds=begin + sum(_seconds(part, cores) for part in parts),
        memory_within=memory_within,
        seconds_within=seconds_within,
        basis="fitted" if fitted else "estimated, unmeasured",
    )


def on_device(part: Work) -> int:
    """Return the peak bytes of GPU memory that a part takes at its rung."""
    return round(RESIDENT[part.rung.weights] * _loaded(part) + _working(part)[1])


def fits(part: Work, total: int, free: int) -> bool:
    """Return whether a part should fit at its rung. total, free: bytes of memory it runs on."""
    if part.device == "cpu":
        cost = predict([part])
        return verdict(cost.memory, cost.memory_within, total) != "too much"
    return on_device(part) <= SPARE * free


def verdict(needed: int, within: float, room: int) -> Fit:
    """Compare the bytes needed with those there: "too much" only beyond the margin of error."""
    if needed / within > room:
        return "too much"
    return "fits" if needed <= room else "tight"


def _loaded(part: Work) -> int:
    return part.model.bytes if part.model else 0


def _places(part: Work, side: int | None = None) -> float:
    """Return the latents of a frame, or of its piece with sides of at most `side` latents."""
    if part.model is None:
        return 0.0
    tall, wide = (length / part.model.factor for length in part.canvas)
    if side is not None:
        tall, wide = min(tall, side), min(wide, side)
    most = part.rates.most
    return tall * wide if most is None else min(tall * wide, most)


def _pixels(part: Work) -> int:
    """Return the pixels of the clip's frame or of the canvas, whichever has more."""
    return max(size[0] * size[1] for size in (part.size, part.canvas))


def _working(part: Work) -> tuple[float, float]:
    """Return the bytes a part holds at its largest segment: for frames, and in the network."""
    rates, model, pixels, rung = part.rates, part.model, _pixels(part), part.rung
    longest, shown = max(part.drawn), max(*part.drawn, *part.segments)
    frames = rates.pixel_bytes * pixels + rates.frame_bytes * shown * pixels
    network = 0.0
    if model is not None:
        clips = part.batch * (1 if rung.one_by_one else part.terms)
        at_once = clips * longest * _places(part, rung.window)
        chunk = min(part.chunk or rung.chunk or model.decoded, longest)
        decoded = chunk * _places(part, rung.tile) * model.factor**2
        network = max(
            rates.place_bytes * part.item * model.width * at_once,
            rates.decode_bytes * model.codec_width * decoded,
        )
    search = rates.near_bytes * min(pixels, rates.known)
    return max(frames, search - network), network


def _seconds(part: Work, cores: int) -> float:
    """Return the seconds that all segments of a part take, loading excluded."""
    rates, model, pixels = part.rates, part.model, _pixels(part)
    segments, frames = len(part.segments), sum(part.drawn)
    shown = max(frames, sum(part.segments))
    searched = min(pixels, rates.known)
    alone = rates.segment + rates.near * searched + rates.pixel * pixels
    spent = segments * alone + shown * (rates.frame * pixels + rates.near_frame * searched)
    if model is None:
        return part.takes * spent
    singles = part.singles + TRAINED * part.fits
    seen = part.evaluations * frames / segments + singles  # frames the network looks at
    places = _places(part)
    calls = (part.evaluations + singles) * (rates.call + rates.weight * model.core)
    latent = rates.product * model.core + model.width * (rates.place + rates.look * places)
    ends = segments * rates.tower * model.rest
    decoding = rates.codec * model.codec * frames * part.canvas[0] * part.canvas[1]
    network = calls + seen * places * latent + ends + decoding
    kind = part.device.partition(":")[0]
    if kind != "cpu":
        rate = FLOPS.get(kind, min(FLOPS.values())) / (4 if part.item > 2 else 1)
        network *= FLOPS_A_CORE / rate
    else:
        network /= cores**ABREAST
    return part.takes * (spent + network)
