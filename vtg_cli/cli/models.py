"""vtg models: what models there are, fetching one, importing a released checkpoint, making a
reverse-motion delta of two U-Nets.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vtg_cli.weights.catalog import CATALOG, EMBEDDED, EMBEDDED_FOLDER, Entry, place_of

if TYPE_CHECKING:
    from vtg_cli.weights.hub import Listing

app = typer.Typer(
    name="models",
    help="List, fetch and convert the weights of models. Nothing else downloads anything.",
    no_args_is_help=True,
)


@app.command("list")
def list_models(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """Show the models vtg knows by name, and which are on this machine. No network."""
    rows = [_embedded(), *(_facts(entry) for entry in CATALOG.values())]
    if as_json:
        typer.echo(json.dumps(rows, indent=2))
        return
    cells = [("NAME", "HERE", "GB", "FRAMES", "SIZE", "VRAM", "COMMERCIAL USE", "WHAT IT IS")]
    for row in rows:
        vram = f"~{row['min_vram_gb']:.0f} GB" if row["min_vram_gb"] else "-"
        size = f"{row['width']}x{row['height']}" if row["width"] else "any"
        gated = " (gated)" if row["gated"] else ""
        cells.append(
            (
                row["name"],
                row["here"],
                f"{row['gb']:.1f}",
                str(row["frames"]),
                size,
                vram,
                row["commercial"],
                row["summary"] + gated,
            )
        )
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    for line in cells:
        padded = (cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        typer.echo("  ".join(padded).rstrip())


def _embedded() -> dict[str, Any]:
    """The row of the model that comes with vtg."""
    from vtg_cli.backbones.base import spec_of
    from vtg_cli.weights.layout import used_files

    size = sum(file.stat().st_size for file in used_files(EMBEDDED_FOLDER))
    known = {
        "name": EMBEDDED,
        "kind": "model",
        "gb": round(size / 1e9, 4),
        "licence": "Apache-2.0",
        "terms": "Part of vtg.",
        "commercial": "yes",
        "gated": False,
        "frames": spec_of(EMBEDDED_FOLDER).frames,
        "summary": "embedded diffusion model, for any machine",
        "here": "yes",
        "path": str(EMBEDDED_FOLDER),
        "lacking": [],
    }
    rest = ("repo_id", "folder", "height", "width", "min_vram_gb", "reverse", "base")
    return known | dict.fromkeys(rest)


def _facts(entry: Entry) -> dict[str, Any]:
    from vtg_cli.weights import store

    copy = store.cached(place_of(entry.name))
    here = "no" if copy is None else "partly" if copy.lacking else "yes"
    fields = ("name", "kind", "repo_id", "folder", "gb", "licence", "terms", "commercial", "gated")
    more = ("frames", "height", "width", "min_vram_gb", "reverse", "base", "summary")
    return {name: getattr(entry, name) for name in (*fields, *more)} | {
        "here": here,
        "path": str(copy.folder) if copy else None,
        "lacking": list(copy.lacking) if copy else [],
    }


@app.command()
def pull(
    name: Annotated[
        str,
        typer.Argument(metavar="NAME|HUB_ID", help="A name from `vtg models list`, or org/name."),
    ],
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Fetch a model into the Hugging Face cache; what is there already is checked, not fetched.

    Prints the folder. HF_HOME, HF_TOKEN, HF_ENDPOINT and HF_HUB_OFFLINE are honoured.
    """
    from vtg_cli.weights import hub, store

    folder = EMBEDDED_FOLDER if name == EMBEDDED else store.recheck(name)
    if name == EMBEDDED:
        typer.echo(f"{name} is part of vtg, there is nothing to fetch", err=True)
    elif folder is not None:
        typer.echo(f"{name} is complete, every file is as recorded", err=True)
    else:
        copy = store.cached(place_of(name))
        listing = hub.look_up(name, here=copy.commit if copy else None)
        _announce(listing)
        folder = _pull(listing)
        _what_next(listing)
    typer.echo(json.dumps({"name": name, "path": str(folder)}) if as_json else str(folder))


def _announce(listing: Listing) -> None:
    """What is about to happen, for people."""
    from vtg_cli.weights.hub import record_path

    place, entry = listing.place, listing.place.entry
    kept = listing.size - listing.missing
    rest = f", {_bytes(kept)} of it here already" if kept else ""
    lines = [
        f"{listing.name}: {len(listing.files)} files, {_bytes(listing.size)}{rest}",
        f"  from    {place.repo_id} at {listing.commit[:12]}",
        f"  to      {listing.folder}",
        f"  licence {entry.licence}: {entry.terms}"
        if entry
        else f"  licence see https://huggingface.co/{place.repo_id}",
    ]
    if not record_path(place.repo_id).exists():
        lines.append("  first pull: commit and hashes are recorded, later pulls must match them")
    typer.echo("\n".join(lines), err=True)


def _pull(listing: Listing) -> Path:
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )

    from vtg_cli.weights import hub

    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, disable=not console.is_terminal) as bars:
        bar = bars.add_task("", total=listing.size)
        return hub.pull(
            listing,
            lambda share, phase: bars.update(
                bar, completed=round(share * listing.size), description=phase
            ),
        )


def _what_next(listing: Listing) -> None:
    entry = listing.place.entry
    if entry is not None and entry.kind == "reverse":
        typer.echo(
            f"a delta file of it is all that is needed: vtg models delta --tuned {entry.name} "
            f"--base {entry.base} -o reverse.safetensors",
            err=True,
        )


@app.command()
def delta(
    tuned: Annotated[
        str,
        typer.Option(metavar="DIR|NAME", help="The tuned reverse-motion U-Net."),
    ],
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="FILE", help="The .safetensors to write.")
    ],
    base: Annotated[
        str, typer.Option(metavar="DIR|NAME", help="The U-Net it was tuned from.")
    ] = "svd",
    dtype: Annotated[
        str, typer.Option(metavar="fp16|fp32", help="Precision of the file.")
    ] = "fp16",
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace the file if it exists.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Keep what reverse-motion tuning changed in a U-Net: a file of 50 MB instead of gigabytes.

    The file goes to `vtg interpolate --reverse FILE` and fits every Stable Video Diffusion model.
    """
    from vtg_cli.weights import delta as deltas
    from vtg_cli.weights.reverse import unet_folder

    made = deltas.write(
        unet_folder(tuned), unet_folder(base), output, dtype=dtype, overwrite=overwrite
    )
    if as_json:
        facts = {
            "path": str(made.path),
            "bytes": made.size,
            "tensors": made.tensors,
            "parameters": made.numbers,
            "unchanged": made.unchanged,
        }
        typer.echo(json.dumps(facts))
    else:
        typer.echo(f"{made.path}  {_bytes(made.size)}")


@app.command("import")
def import_model(
    checkpoint: Annotated[
        Path,
        typer.Argument(
            metavar="FILE",
            help="DynamiCrafter's or ToonCrafter's model.ckpt, or a pruned .safetensors of it.",
        ),
    ],
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="DIR", help="The model folder to make.")
    ],
    variant: Annotated[
        str | None,
        typer.Option(
            metavar="256|512|1024|512_interp|tooncrafter",
            help="Which of the released models it is. Default: as the file and its folder say.",
        ),
    ] = None,
    clip: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="A copy of laion/CLIP-ViT-H-14-laion2B-s32B-b79K: the vocabulary that prompts "
            "need, and the CLIP weights that pruned files lack.",
        ),
    ] = None,
    decoder: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="A DynamiCrafter checkpoint whose decoder stands in for ToonCrafter's own.",
        ),
    ] = None,
    config: Annotated[
        Path | None,
        typer.Option(
            metavar="JSON",
            help="The model's configuration, for one of other sizes than the released ones.",
        ),
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace the model folder if it exists.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Make a model folder of a released DynamiCrafter checkpoint: safetensors, config, hashes.

    Nothing in the file is executed. The folder goes to `vtg interpolate --model DIR`.
    """
    from vtg_cli.backbones.dynamicrafter.convert import convert

    folder = convert(
        checkpoint,
        output,
        variant=variant,
        clip=clip,
        decoder=decoder,
        config=config,
        overwrite=overwrite,
        on_phase=lambda phase: typer.echo(phase, err=True),
    )
    if not (folder / "tokenizer").is_dir():
        typer.echo(
            "prompts will need CLIP's vocab.json and merges.txt: put them in "
            f"{folder / 'tokenizer'}, or name their folder with --clip",
            err=True,
        )
    typer.echo(json.dumps({"path": str(folder)}) if as_json else str(folder))


def _bytes(count: int) -> str:
    for unit, scale in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= scale:
            return f"{count / scale:.1f} {unit}"
    return f"{count} bytes"
