"""The memory ladder's rungs, as facts: what each does to a model so that it needs less memory.

Free of torch; backbones.ladder applies them, memory chooses among them.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Literal

WHOLE = 10_000
"""Frames decoded at once where all of them are."""

Weights = Literal["here", "blocks", "leaves"]


@dataclass(frozen=True, kw_only=True)
class Rung:
    """One step of the ladder.

    one_by_one: guidance terms run one after another (the two directions of time stay together);
    chunk: frames decoded at once, None: the model's own number; weights: where they are: on the
    device, or on the host and brought there by the block or by the layer while it works;
    narrow: the network's weights are kept in 8 bits; tiles: decoded in tiles.
    """

    name: str
    one_by_one: bool = True
    chunk: int | None = None
    weights: Weights = "here"
    narrow: bool = False
    tiles: bool = False


RUNGS = (
    Rung(name="full", one_by_one=False, chunk=WHOLE),
    Rung(name="chunked"),
    Rung(name="offload", weights="blocks"),
    Rung(name="sequential", chunk=1, weights="leaves"),
    Rung(name="tiny-vram", chunk=1, weights="leaves", narrow=True, tiles=True),
)
"""From the most memory to the least."""
NAMED = {rung.name: rung for rung in RUNGS}
AWAY = tuple(rung.name for rung in RUNGS if rung.weights != "here")
"""Rungs under which a network cannot be trained: its weights come and go."""


class OutOfRungsError(MemoryError):
    """Out of memory at the last rung there was. tried: the names of all, in order."""

    def __init__(self, tried: tuple[str, ...]) -> None:
        super().__init__(f"out of memory after {', '.join(tried)}")
        self.tried = tried


def ran_out(error: BaseException) -> bool:
    """Whether it says that memory ran out, on whatever device."""
    torch = sys.modules.get("torch")
    if isinstance(error, MemoryError):
        return True
    if torch is not None and isinstance(error, torch.OutOfMemoryError):
        return True
    said = str(error)
    return "can't allocate" in said or "MPS backend out of memory" in said
