"""What the command line says before the work: what it needs, in words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from vtg_cli.cli.console import answer, say
from vtg_cli.ground.units import counted, size_text, time_text

if TYPE_CHECKING:
    from vtg_cli.plan.needs import Preflight


def warn(found: Preflight, *, quiet: bool) -> None:
    """What may go wrong, on stderr."""
    for note in () if quiet else found.notes:
        say(note)


def tell(
    found: Preflight, outline: Mapping[str, Any], lines: Sequence[str], *, as_json: bool
) -> None:
    """What --dry-run prints: a plan's own facts, and what it needs."""
    from vtg_cli.plan.needs import document

    answer(
        {**outline, "prediction": document(found)},
        *lines,
        *needs(found),
        as_json=as_json,
        indent=2,
    )


def needs(found: Preflight) -> Iterator[str]:
    """Weights, memory, time and disk, one fact a line."""
    cost, machine = found.cost, found.machine
    for each in found.weights:
        licence = f", {each.licence}" if each.licence else ""
        size = f"{counted(each.files, 'file')}, {size_text(each.bytes)}"
        yield f"weights   {each.name}: {size}{licence}"
    has = f" of {size_text(machine.memory.total)}" if machine.memory else ""
    yield (
        f"memory    about {size_text(cost.memory)}{has} "
        f"(within {cost.memory_within:g} times, {cost.basis})"
    )
    if cost.gpu is not None:
        has = f" of {size_text(machine.gpu.total)}" if machine.gpu else ""
        yield f"GPU       about {size_text(cost.gpu)}{has}"
    if found.whole:
        more = f"; up to {found.takes} takes of a segment" if found.takes > 1 else ""
        yield (
            f"time      about {time_text(cost.seconds)} "
            f"(within {cost.seconds_within:g} times, {cost.basis}{more})"
        )
    else:
        yield "time      depends on how long the input is"
    if found.volume is not None and machine.disk is not None:
        yield (
            f"disk      about {size_text(found.volume)} "
            f"(within {found.volume_within:g} times); {size_text(machine.disk)} free"
        )
