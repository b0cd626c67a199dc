"""The papers' tables: which clips of which data, how they are prepared, what is computed of them,
and the rows that were published. A protocol is data; `vtg eval run` carries it out.
"""

from __future__ import annotations

from collections.abc import Mapping

from vtg_cli.errors import UsageError
from vtg_cli.evaluation.protocols.aid import AID
from vtg_cli.evaluation.protocols.base import Protocol, Table
from vtg_cli.evaluation.protocols.gi import GI
from vtg_cli.evaluation.protocols.local import LOCAL
from vtg_cli.evaluation.protocols.stiv import STIV
from vtg_cli.evaluation.protocols.vidm import VIDM
from vtg_cli.evaluation.protocols.vtg import VTG

PROTOCOLS: Mapping[str, Protocol] = {each.name: each for each in (LOCAL, GI, VTG, AID, VIDM, STIV)}


def chosen(name: str, tables: str | None = None) -> tuple[Protocol, tuple[Table, ...]]:
    """Return a protocol and those of its tables that are named, with commas between; None: all.

    Raises UsageError for a name there is not.
    """
    if name not in PROTOCOLS:
        raise UsageError(f"there is no protocol {name}", f"one of {', '.join(PROTOCOLS)}")
    protocol = PROTOCOLS[name]
    known = {table.name: table for table in protocol.tables}
    wanted = [*known] if tables is None else tables.split(",")
    for each in wanted:
        if each not in known:
            raise UsageError(
                f"{name} has no table {each!r}", f"one of {', '.join(known)}", subject="--tables"
            )
    return protocol, tuple(known[each] for each in dict.fromkeys(wanted))
