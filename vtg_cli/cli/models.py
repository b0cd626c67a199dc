"""vtg models: what models there are, what is here, on which terms; and the commands on them."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Annotated

import typer

from vtg_cli.cli import keeping, making, pulling
from vtg_cli.cli.console import answer, result, result_json
from vtg_cli.cli.model_facts import built_in, facts, known_of, lines_of
from vtg_cli.errors import UsageError
from vtg_cli.weights.catalog import BUILT_IN, CATALOG, place_of

app = typer.Typer(
    name="models",
    help="List, fetch, check, convert and remove the weights of models. "
    "Nothing else downloads anything.",
    no_args_is_help=True,
)

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
What = Annotated[
    str, typer.Argument(metavar="NAME|HUB_ID|DIR", help="A catalogue name, hub id or folder.")
]


@app.command("list")
def list_models(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
    here: Annotated[bool, typer.Option("--here", help="Only what is on this machine.")] = False,
    commercial: Annotated[
        bool, typer.Option("--commercial", help="Only what may be used commercially by anybody.")
    ] = False,
) -> None:
    """Show the models vtg knows by name, and which are on this machine. No network."""
    rows = [*map(built_in, BUILT_IN), *(facts(entry) for entry in CATALOG.values())]
    rows = [row for row in rows if not (here and row["here"] == "no")]
    rows = [row for row in rows if not commercial or row["commercial"] == "yes"]
    if as_json:
        result_json(rows, indent=2)
        return
    cells = [("NAME", "HERE", "GB", "FRAMES", "SIZE", "VRAM", "COMMERCIAL USE", "WHAT IT IS")]
    for row in rows:
        vram = f"~{row['min_vram_gb']:.0f} GB" if row["min_vram_gb"] else "-"
        size = f"{row['width']}x{row['height']}" if row["width"] else "-"
        gated = " (gated)" if row["gated"] else ""
        kept = " (not run by vtg yet)" if row["kind"] == "kept" else ""
        cells.append(
            (
                row["name"],
                row["here"],
                f"{row['gb']:.1f}",
                str(row["frames"] or "-"),
                "any" if row["name"] in BUILT_IN or row["kind"] == "engine" else size,
                vram,
                row["commercial"],
                row["summary"] + gated + kept,
            )
        )
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    for line in cells:
        padded = (cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        result("  ".join(padded).rstrip())


@app.command()
def info(name: What, as_json: Json = False) -> None:
    """Show everything known about a model: files, size, licence, memory, what it draws. No network.

    Hashes and revision are those its first pull recorded.
    """
    row = built_in(name) if name in BUILT_IN else known_of(name)
    if as_json:
        result_json(row, indent=2)
        return
    for label, text in lines_of(row):
        result(f"{label:11} {text}".rstrip())


@app.command("path")
def show_path(name: What, as_json: Json = False) -> None:
    """Print the folder of a model that is complete on this machine. No network.

    Exit code 5 and the command that fetches it where it is not.
    """
    folder = _folder(name)
    answer({"name": name, "path": str(folder)}, str(folder), as_json=as_json)


@app.command("licence")
def show_licence(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A name from `vtg models list`.")],
    accept: Annotated[
        bool, typer.Option("--accept", help="Accept the terms, once for all of this licence.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Show on which terms a model may be used, and whether you accepted them. No network."""
    from vtg_cli.weights import licence

    if name not in CATALOG and Path(name).expanduser().exists():
        raise UsageError(
            f"{name} is a folder of yours, whose terms vtg does not know",
            "see where it came from",
            subject=name,
        )
    entry = None if name in BUILT_IN else place_of(name).entry
    row = built_in(name) if name in BUILT_IN else None
    if entry is None and row is None:
        text = {"name": name, "page": f"https://huggingface.co/{name}"}
        answer(text, f"{name} is not in the catalogue; {text['page']}", as_json=as_json)
        return
    if entry is not None:
        if accept:
            licence.accept(entry, datetime.date.today().isoformat())
        row = facts(entry) | {"page": entry.page, "must_accept": entry.must_accept}
        row["accepted"] = licence.accepted(entry)
    assert row is not None
    fields = ("name", "licence", "terms", "commercial", "page", "must_accept", "accepted")
    terms = {field: row.get(field) for field in fields}
    if as_json:
        result_json(terms, indent=2)
        return
    result(f"{terms['name']}: {terms['licence']}")
    result(f"{terms['terms']} Commercial use: {terms['commercial']}.")
    if terms["page"]:
        result(str(terms["page"]))
    if terms["accepted"]:
        result(f"accepted on {terms['accepted']}")
    elif terms["must_accept"]:
        result(f"not accepted yet: vtg models licence {name} --accept")


app.command()(pulling.pull)
app.command()(keeping.verify)
app.command("rm")(keeping.remove)
app.command("import")(making.import_model)
app.command()(making.delta)


def _folder(name: str) -> Path:
    """Return the folder of a model, a reverse-motion U-Net or any other catalogue entry."""
    from vtg_cli.weights import store

    entry = CATALOG.get(name)
    if entry is not None and entry.kind != "model":
        return store.complete(name).folder
    return store.resolve(name).folder.absolute()
