"""The rungs of the memory ladder, as facts: what each does to a model so that it needs less memory.

Free of torch; backbones.ladder applies them, memory chooses among them.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace
from typing import Literal

WHOLE = 10_000
"""Frames decoded at once to mean all of them."""
TILE = 48
"""Side of a tile in latents: 384 pixels for Stable Video Diffusion. A multiple of 16, as is the
part that does not overlap, so that tiles of a network that halves its input four times lie on one
grid."""

Weights = Literal["here", "blocks", "leaves"]
RESIDENT = {"here": 1.0, "blocks": 0.3, "leaves": 0.05}
"""Share of the weights that are on the device at once. Of SVD-XT's numbers, the image encoder has
28 %, which comes as one block, the network's largest block 22 % and its largest layer 1.3 %, which
is there twice while it is widened from 8 bits; to that come vectors and the first matrix of each
part."""


@dataclass(frozen=True, kw_only=True)
class Rung:
    """One step of the memory ladder.

    one_by_one: guidance terms run one after another (the two directions of time stay together)
    chunk: frames decoded at once; None: the model's own number
    weights: where they are: on the device, or on the host and brought there by the block or by the
        layer while it works
    narrow: the network's weights are kept in 8 bits
    tile: side, in latents, of the tiles that are encoded and decoded; None: all at once
    window: side, in latents, of the windows in which a step is computed; None: all at once

    Tiles and windows overlap by a third.
    """

    name: str
    one_by_one: bool = True
    chunk: int | None = None
    weights: Weights = "here"
    narrow: bool = False
    tile: int | None = None
    window: int | None = None

    @property
    def same_frames(self) -> bool:
        """Return whether it draws the same frames as full, given the same decode chunk."""
        return not (self.narrow or self.tile or self.window)


RUNGS = (
    Rung(name="full", one_by_one=False, chunk=WHOLE),
    Rung(name="chunked"),
    Rung(name="offload", weights="blocks"),
    Rung(name="sequential", chunk=1, weights="leaves"),
    Rung(name="tiny-vram", chunk=1, weights="leaves", narrow=True, tile=TILE),
    Rung(name="tiled", chunk=1, weights="leaves", narrow=True, tile=TILE, window=TILE),
)
"""All rungs, from the most memory to the least."""
NAMED = {rung.name: rung for rung in RUNGS}
AWAY = tuple(rung.name for rung in RUNGS if rung.weights != "here")
"""Rungs under which a network cannot be trained, because its weights come and go."""


def allowed(memory: str, lora: str) -> tuple[Rung, ...]:
    """Return the rungs a job may use, from its --memory and --lora; a named one stands alone.

    auto decodes as many frames at once as the model does by default while it can, also with its
    weights away: with Stable Video Diffusion that number shows in the frames, and frames should not
    depend on how much memory is free.
    """
    if memory != "auto":
        return (NAMED[memory],)
    one = next(i for i, rung in enumerate(RUNGS) if rung.chunk == 1)
    own = (*(replace(rung, chunk=None) for rung in RUNGS[: one + 1]), *RUNGS[one:])
    return tuple(rung for rung in own if lora != "fit" or rung.name not in AWAY)


class OutOfRungsError(MemoryError):
    """Out of memory at the last rung there was. tried: the names of all rungs tried, in order."""

    def __init__(self, tried: tuple[str, ...]) -> None:
        super().__init__(f"out of memory after {', '.join(tried)}")
        self.tried = tried


def ran_out(error: BaseException) -> bool:
    """Return whether an error says that memory ran out, on whatever device."""
    torch = sys.modules.get("torch")
    if isinstance(error, MemoryError):
        return True
    if torch is not None and isinstance(error, torch.OutOfMemoryError):
        return True
    message = str(error)
    return "can't allocate" in message or "MPS backend out of memory" in message
