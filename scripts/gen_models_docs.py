"""Write the table of docs/models.md from the catalogue; `--check`: exit 1 when it is stale."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

from vtg_cli.weights.catalog import CATALOG
from vtg_cli.weights.entry import Entry

PAGE = Path(__file__).resolve().parent.parent / "docs" / "models.md"
BEGIN = "<!-- catalogue: written by scripts/gen_models_docs.py (make docs) -->"
END = "<!-- end of the catalogue -->"
HEAD = ("name", "what it is", "fetched", "draws", "prompts", "GPU memory", "commercial use")
KEPT = " **Fetched and verified, not run by this version.**"


def table() -> str:
    """The catalogue, the entries that draw first, and the terms of each licence under it."""
    rows = [HEAD, ("---",) * len(HEAD), *map(_row, CATALOG.values())]
    lines = [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join([*lines, "", *_sources(), "", *_terms()])


def _row(entry: Entry) -> tuple[str, ...]:
    size = f"{entry.width}x{entry.height}, {entry.frames} frames" if entry.frames else "-"
    needs = "".join(f" + `{name}`" for name in entry.needs)
    tiers = "; ".join(
        f"{tier.gb:g} GB{'' if tier.published else '*'}: {tier.how}" for tier in entry.tiers
    )
    return (
        f"`{entry.name}`",
        entry.summary + (", gated" if entry.gated else "") + (KEPT if entry.kind == "kept" else ""),
        _size(entry.gb) + needs,
        size,
        ("yes" if entry.prompts else "no") if entry.frames else "-",
        tiers or "-",
        entry.commercial,
    )


def _size(gb: float) -> str:
    if gb >= 0.1:
        return f"{gb:.2f} GB"
    return f"{gb * 1000:.0f} MB" if gb >= 0.001 else "under 1 MB"


def _sources() -> Iterator[str]:
    yield "| name | repository | files | revision |\n|---|---|---|---|"
    for entry in CATALOG.values():
        folder = f"{entry.folder}/: " if entry.folder else ""
        files = ", ".join(f"`{name}`" for name in entry.files)
        revision = entry.wheel.version if entry.wheel else entry.revision
        pinned = f"`{revision}`" if revision else "learned on first pull"
        if entry.link is not None:
            digest = entry.link.sha256[:12]
            pinned = (
                f"sha256 `{digest}`" if digest else "no sha256 published: vtg does not fetch it"
            )
        yield f"| `{entry.name}` | [{entry.repo_id}]({entry.page}) | {folder}{files} | {pinned} |"


def _terms() -> Iterator[str]:
    yield "| licence | of | terms | accepted before the first pull |\n|---|---|---|---|"
    seen: dict[tuple[str, str], list[Entry]] = {}
    for entry in CATALOG.values():
        seen.setdefault((entry.licence, entry.terms), []).append(entry)
    for (licence, terms), entries in seen.items():
        names = ", ".join(f"`{entry.name}`" for entry in entries)
        yield f"| {licence} | {names} | {terms} | {'yes' if entries[0].must_accept else 'no'} |"


def page(current: str) -> str:
    """The page with a fresh table between its marks."""
    before, _, rest = current.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n\n{table()}\n\n{END}{after}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 when stale")
    check = parser.parse_args().check
    current = PAGE.read_text(encoding="utf-8")
    fresh = page(current)
    if check and current != fresh:
        print("docs/models.md is stale: run make docs", file=sys.stderr)
        return 1
    if not check:
        PAGE.write_text(fresh, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
