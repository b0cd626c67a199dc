"""vtg data: look through clips for training, render some, cache latents, score captions."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from vtg_cli.cli import train_options as t
from vtg_cli.cli.bar import progress
from vtg_cli.cli.commands import Command
from vtg_cli.cli.console import answer, say
from vtg_cli.cli.options import Debug
from vtg_cli.cli.train import size_of

app = typer.Typer(
    name="data",
    help="Look through clips for training, render some, and cache their latents.",
    no_args_is_help=True,
)

KEEPING, PICTURES = "What is kept", "Pictures and captions"


def _option(panel: str, *flags: str, help: str, **more: Any) -> Any:
    return typer.Option(*flags, help=help, rich_help_panel=panel, **more)


def _nothing(share: float, what: str) -> None:
    pass


@app.command("scan", cls=Command)
def scan(
    sources: Annotated[
        list[str], typer.Argument(metavar="SOURCE...", help="Clips, or folders of clips.")
    ],
    output: Annotated[
        Path, typer.Option("-o", "--output", metavar="FILE", help="The manifest, .jsonl.")
    ],
    frames: Annotated[int, _option(KEEPING, "--min-frames", min=1, help="Fewest frames.")] = 27,
    motion: Annotated[
        float,
        _option(
            KEEPING, "--min-motion", min=0.0, help="Least motion a frame, % of the longer side."
        ),
    ] = 0.05,
    most: Annotated[float, _option(KEEPING, "--max-motion", min=0.0, help="Most motion.")] = 20.0,
    side: Annotated[
        int, _option(KEEPING, "--min-side", min=0, help="Least pixels of the shorter side.")
    ] = 0,
    fps: Annotated[
        float, _option(KEEPING, "--min-fps", min=0.0, help="Fewest frames a second.")
    ] = 0,
    clarity: Annotated[
        float, _option(KEEPING, "--min-clarity", min=0.0, help="Least share of fine detail.")
    ] = 0.0,
    consistency: Annotated[
        float,
        _option(
            KEEPING, "--min-consistency", min=-1.0, max=1.0, help="Least likeness of neighbours."
        ),
    ] = 0.2,
    repeated: Annotated[
        float,
        _option(KEEPING, "--max-repeated", min=0.0, max=1.0, help="Most repeated frames, share."),
    ] = 0.5,
    bars: Annotated[
        float,
        _option(KEEPING, "--max-bars", min=0.0, max=1.0, help="Most bars, share of the picture."),
    ] = 0.02,
    text: Annotated[
        float, _option(KEEPING, "--max-text", min=0.0, max=1.0, help="Most lettering, share.")
    ] = 1.0,
    duplicates: Annotated[
        bool, _option(KEEPING, "--duplicates", help="Keep shots that look alike, too.")
    ] = False,
    detector: Annotated[
        Literal["adaptive", "content"],
        _option(KEEPING, "--detector", help="PySceneDetect's rule for cuts."),
    ] = "adaptive",
    sheet: Annotated[
        Path | None,
        _option(PICTURES, "--sheet", metavar="PNG", help="Also write a contact sheet."),
    ] = None,
    histograms: Annotated[
        Path | None,
        _option(
            PICTURES, "--histograms", metavar="PNG", help="Also write histograms of the measures."
        ),
    ] = None,
    caption: Annotated[
        Path | None,
        _option(
            PICTURES,
            "--caption",
            metavar="FOLDER",
            help="Caption what has no .txt or .json beside it with an image-to-text model.",
        ),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the manifest.")] = False,
    as_json: t.Json = False,
    quiet: t.Quiet = False,
    debug: Debug = False,
) -> None:
    """Look through clips: find shots, measure them, and say which are worth training on.

    vtg data scan clips/ -o manifest.jsonl --sheet sheet.png

    Cuts and fades part a clip into shots. Every shot has a row with its measures; those left out
    say why. 'vtg train reverse-motion manifest.jsonl' reads what is kept.
    """
    from vtg_cli.training import scan as scanning

    if output.exists() and not overwrite:
        from vtg_cli.errors import UsageError

        raise UsageError(f"{output} exists", "--overwrite replaces it", subject=str(output))
    limits = scanning.Limits(
        frames=frames,
        side=side,
        fps=fps,
        motion=(motion, most),
        clarity=clarity,
        consistency=consistency,
        repeated=repeated,
        bars=bars,
        text=text,
        duplicates=duplicates,
    )
    describe = None
    if caption is not None:
        from vtg_cli.machine.device import choose_device
        from vtg_cli.training.captioner import Captioner

        describe = Captioner(caption.expanduser(), choose_device())
    with progress(quiet=quiet) as show:
        found = scanning.scan(
            sources, limits, detector=detector, describe=describe, progress=show or _nothing
        )
    if sheet is not None:
        scanning.write_sheet(found, sheet)
    if histograms is not None:
        scanning.write_histograms(found, histograms)
    for row in found.rows if not quiet else ():
        if not row["kept"]:
            say(f"{row['path']} from frame {row.get('first', 0)}: {', '.join(row['why'])}")
    scanning.write(found, output, overwrite=overwrite)
    document = {"output": str(output), "kept": found.kept, "shots": len(found.rows)}
    reasons = dict(found.reasons())
    line = f"{output}: {found.kept} of {len(found.rows)} shots are kept"
    why = [f"{count:6} {reason}" for reason, count in reasons.items()]
    answer({**document, "left_out": reasons}, line, *why, as_json=as_json, indent=2)


@app.command("render", cls=Command)
def render(
    count: Annotated[int, typer.Argument(metavar="COUNT", min=1, help="How many clips.")],
    output: Annotated[Path, typer.Option("-o", "--output", metavar="FOLDER", help="Their folder.")],
    size: Annotated[str, typer.Option("--size", metavar="WxH", help="Size.")] = "256x256",
    frames: Annotated[int, typer.Option("--frames", min=2, help="Frames of a clip.")] = 27,
    fps: Annotated[int, typer.Option("--fps", min=1, max=240, help="Frames a second.")] = 24,
    seed: t.Seed = 0,
    as_json: t.Json = False,
    quiet: t.Quiet = False,
    debug: Debug = False,
) -> None:
    """Render clips of textured shapes that move, hide each other and change, with captions.

    vtg data render 100 -o clips/
    """
    from fractions import Fraction

    from vtg_cli.training import rendering

    shape = size_of(size)
    assert shape is not None
    with progress(quiet=quiet) as show:
        files = rendering.render(
            output,
            count,
            frames=frames,
            size=shape,
            fps=Fraction(fps),
            seed=seed,
            progress=show or _nothing,
        )
    document = {"output": str(output), "clips": len(files)}
    answer(document, f"{output}: {len(files)} clips", as_json=as_json, indent=2)


@app.command("cache", cls=Command)
def cache(
    data: t.Data,
    output: Annotated[
        Path, typer.Option("-o", "--output", metavar="FOLDER", help="Folder of the latents.")
    ],
    model: t.Model = "tiny",
    size: t.Size = None,
    how: t.Fit = "crop",
    device: t.Device = "auto",
    dtype: t.Dtype = "auto",
    as_json: t.Json = False,
    quiet: t.Quiet = False,
    debug: Debug = False,
) -> None:
    """Encode clips once, for 'vtg train ... --latents FOLDER' with the same model, size and fit.

    vtg data cache manifest.jsonl -o latents/ --model svd

    What is there already is not encoded again; the same command goes on where it stopped.
    """
    from vtg_cli.backbones import base
    from vtg_cli.training import cache as caching
    from vtg_cli.training import source
    from vtg_cli.training.settings import Settings, size_for
    from vtg_cli.weights import store

    place = store.resolve(model)
    wanted = Settings(kind="reverse-motion", data=data, out="", size=size_of(size))
    shape = size_for(wanted, base.spec_of(place.folder))
    window = source.Window(frames=1, stride=1, size=shape, how=how)
    path, note = Path(data).expanduser(), (_silent if quiet else say)
    entries = (
        source.entries_of_manifest(path) if path.is_file() else source.entries_of_folder(path, note)
    )
    m = base.load(place.folder, device=device, dtype=dtype)
    with progress(quiet=quiet) as show:
        kept = caching.fill(
            *(m, entries, window, caching.model_key(place.folder), output),
            progress=show or _nothing,
        )
    for message in kept.failed:
        note(message)
    document = {
        "output": str(output),
        "encoded": kept.encoded,
        "found": kept.found,
        "failed": len(kept.failed),
    }
    line = f"{output}: {kept.encoded} clips encoded, {kept.found} were there"
    answer(document, line, as_json=as_json, indent=2)


@app.command("dsg", cls=Command)
def dsg(
    answers: Annotated[
        Path,
        typer.Argument(
            metavar="ANSWERS",
            help='A line of JSON for each caption: {"objects": {NAME: [true, false, ..]}}.',
        ),
    ],
    as_json: t.Json = False,
    debug: Debug = False,
) -> None:
    """Tell how often captions name what clips do not show, from answers about their frames.

    vtg data dsg answers.jsonl
    """
    from dataclasses import asdict

    from vtg_cli.training.hallucination import scores

    got = scores(answers)
    lines = (
        f"DSG-i {100 * got.dsg_i:.1f} % of {got.objects} objects",
        f"DSG-s {100 * got.dsg_s:.1f} % of {got.captions} captions",
    )
    answer(asdict(got), *lines, as_json=as_json, indent=2)


def _silent(text: str) -> None:
    pass
