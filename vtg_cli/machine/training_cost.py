"""What training reverse motion takes: peak memory, and the time of a step, from counts alone.

    bytes   = start + weights + STATE * trained + activations
    seconds = clips * (encoding + TRAINED * an evaluation of both directions)

All of it is estimated, the activations that wait for the gradient too; none was measured.
"""

from __future__ import annotations

from dataclasses import dataclass

from vtg_cli.machine.cost import GPU_START, GPU_START_BYTES, TRAINED, Rates, Sizes, Work, predict

STATE = 20
"""Bytes for a trained number: its value, gradient, two moments and average, in float32."""
AGAIN = 4 / 3
"""Factor of the time where blocks are computed again."""


@dataclass(frozen=True, kw_only=True)
class TrainingWork:
    """A run of training. clips: of a step, on one device; item: bytes of a frozen number."""

    rates: Rates
    model: Sizes
    size: tuple[int, int]
    frames: int
    item: int
    steps: int
    clips: int
    checkpointing: bool
    device: str


@dataclass(frozen=True, kw_only=True)
class TrainingCost:
    """The predicted cost: bytes at the peak on the device that trains, seconds a step."""

    memory: int
    seconds_a_step: float
    basis: str = "estimated, unmeasured"


def training_cost(work: TrainingWork, cores: int = 1) -> TrainingCost:
    """Predict what a run takes."""
    model, places = work.model, work.size[0] * work.size[1] / work.model.factor**2
    most = work.rates.most
    places = places if most is None else min(places, most)
    kept = work.rates.kept_again if work.checkpointing else work.rates.kept
    activations = kept * work.item * model.width * places * work.frames * 2
    start = work.rates.start_bytes if work.device == "cpu" else GPU_START_BYTES
    trained = STATE * work.rates.trained * model.core
    one = Work(
        rates=work.rates,
        device=work.device,
        segments=(work.frames,),
        drawn=(work.frames,),
        size=work.size,
        canvas=work.size,
        model=model,
        evaluations=2 * TRAINED,
        item=work.item,
    )
    # encoding takes about as long as decoding, which is counted in
    seconds = predict([one], cores).seconds
    seconds -= work.rates.start if work.device == "cpu" else GPU_START
    step = work.clips * seconds * (AGAIN if work.checkpointing else 1)
    return TrainingCost(
        memory=round(start + model.bytes + trained + activations), seconds_a_step=step
    )
