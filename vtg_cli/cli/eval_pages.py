"""vtg eval clips, compare, poll and votes: finished clips, and what a person makes of them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vtg_cli.cli import eval_options as e
from vtg_cli.cli import options as o
from vtg_cli.cli.bar import progress
from vtg_cli.cli.console import answer, say
from vtg_cli.errors import UsageError

if TYPE_CHECKING:
    from vtg_cli.evaluation.shots import Frames

QUESTION = "Which clip is better?"
Output = Annotated[
    str,
    typer.Option("--output", "-o", metavar="DIR_OR_HTML", help="Where the page and the video go."),
]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace files that exist.")]
Device = Annotated[str, typer.Option("--device", help="Where the feature networks run.")]


def clips(
    folders: e.ClipFolders,
    truth: e.Truth = None,
    features: e.Features = None,
    draw_seed: e.DrawSeed = 0,
    device: Device = "auto",
    as_json: o.JsonOnly = False,
    quiet: o.Quiet = False,
    debug: o.Debug = False,
) -> None:
    """Measure finished clips: means with intervals, a column for each folder.

    vtg eval clips flow/ tiny/ --truth windows/
    """
    from dataclasses import asdict

    from vtg_cli.evaluation.finished import scored, table
    from vtg_cli.evaluation.results import markdown
    from vtg_cli.evaluation.tables import LPIPS, Networks
    from vtg_cli.machine.hardware import device_name

    networks = Networks(e.named("--features", features), device_name(device))
    with progress(quiet=quiet) as show:
        found = scored(folders, networks, truth, show)
    reason = networks.absent(LPIPS)
    if reason and not quiet:
        say(reason)
    document = {
        folder: {name: asdict(reading) for name, reading in of.items()}
        for folder, of in found.items()
    }
    answer(document, *markdown(table(found, draw_seed)), as_json=as_json, indent=2)


def compare(
    first: Annotated[str, typer.Argument(metavar="A", show_default=False, help="A clip.")],
    second: Annotated[str, typer.Argument(metavar="B", show_default=False, help="Another one.")],
    output: Output,
    overwrite: Overwrite = False,
    debug: o.Debug = False,
) -> None:
    """Put two clips beside each other: a video, and a page with a slider and the difference.

    vtg eval compare seed1.mp4 seed2.mp4 -o compare/

    The second clip is fitted to the first one's size, and shown over the same time.
    """
    from vtg_cli.evaluation.finished import resampled
    from vtg_cli.evaluation.pages import compare as pages
    from vtg_cli.evaluation.shots import Shot, read
    from vtg_cli.ground import atomic

    page, video = _places(output, "compare")
    _check_free([page, video], overwrite)
    a = read(Shot(Path(first)))
    b = read(Shot(Path(second)), (a.shape[1], a.shape[2]))
    frames = max(len(a), len(b))
    a, b = (clip[resampled(len(clip), frames)] for clip in (a, b))
    text = pages.page((first, second), (a, b))
    _write_beside(a, b, video, first, overwrite)
    atomic.write(page, text.encode(), overwrite=overwrite)
    answer(None, str(page), str(video), as_json=False)


def poll(
    systems: Annotated[
        list[str],
        typer.Argument(
            metavar="NAME=DIR...",
            show_default=False,
            help="Two or more systems and the folders of their clips, which have the same names.",
        ),
    ],
    output: Annotated[
        str, typer.Option("--output", "-o", metavar="FILE.html", help="Where the page goes.")
    ],
    question: Annotated[
        str, typer.Option("--question", metavar="TEXT", help="What is asked.")
    ] = QUESTION,
    limit: e.Limit = None,
    seed: Annotated[
        int, typer.Option("--seed", metavar="N", help="Random seed of sides and order.")
    ] = 0,
    overwrite: Overwrite = False,
    debug: o.Debug = False,
) -> None:
    """Make a page that asks people, blindly, which of two clips they prefer.

    vtg eval poll flow=flow/ tiny=tiny/ -o poll.html

    Every two systems on every clip they share, on random sides. The page holds no names; beside it
    lies poll.key.json, which 'vtg eval votes' reads the answers with. Keep it to yourself.
    """
    from vtg_cli.evaluation.pages import poll as pages
    from vtg_cli.evaluation.protocols.layouts import named_clips
    from vtg_cli.evaluation.shots import Shot, read
    from vtg_cli.ground import atomic

    page = Path(output)
    if page.suffix.lower() != ".html":
        raise UsageError(f"{output} is no name for a page", "end it in .html", subject="--output")
    key = page.with_suffix(".key.json")
    _check_free([page, key], overwrite)
    folders = e.named("NAME=DIR", systems)
    if len(folders) < 2:
        raise UsageError("there is nothing to prefer", "give two systems or more: NAME=DIR")
    there = {}
    for name, folder in folders.items():
        if not Path(folder).is_dir():
            raise UsageError(f"there is no folder {folder}", subject=folder)
        there[name] = named_clips(Path(folder))
    shared = [n for n in next(iter(there.values())) if all(n in of for of in there.values())]
    cases = shared[:limit]
    if not cases:
        raise UsageError("the folders share no clip", "clips of one case have the same name")
    document = pages.key(pages.trials([*folders], cases, seed), question, seed)
    shown: dict[tuple[str, str], Frames] = {}
    for case in cases:
        size = None
        for name in folders:
            clip = read(Shot(there[name][case]), size)
            size = size or (clip.shape[1], clip.shape[2])
            shown[case, name] = clip
    text = pages.page(document, shown)
    atomic.write(key, json.dumps(document, indent=1).encode(), overwrite=overwrite)
    atomic.write(page, text.encode(), overwrite=overwrite)
    answer(None, str(page), str(key), as_json=False)


def votes(
    key: Annotated[
        str, typer.Argument(metavar="KEY", show_default=False, help="The poll's .key.json.")
    ],
    files: Annotated[
        list[str],
        typer.Argument(metavar="VOTES...", show_default=False, help="What people sent back."),
    ],
    as_json: o.JsonOnly = False,
    debug: o.Debug = False,
) -> None:
    """Count the votes of a poll: how often each system won, with Wilson's 95 % interval.

    vtg eval votes poll.key.json votes/*.json
    """
    from vtg_cli.evaluation.pages.poll import KEY, VOTES, counted
    from vtg_cli.ground import documents

    asked = _document(key, KEY)
    given = [_document(name, VOTES) for name in files]
    with documents.reading(" ".join(files[:3]), UsageError, "votes are what the page saves"):
        found = counted(asked, given)
    lines = [
        f"{found['question']} {found['people']} people, {found['votes']} votes, "
        f"{found['undecided']} without a preference"
    ]
    lines += [f"{name}: {_share(row)}" for name, row in found["systems"].items()]
    lines += [f"{row['first']} over {row['second']}: {_share(row)}" for row in found["pairs"]]
    answer(found, *lines, as_json=as_json, indent=2)


def _share(row: dict[str, Any]) -> str:
    if not row["decided"]:
        return "no vote"
    interval = f"[{row['low']:.1%}, {row['high']:.1%}]"
    return f"{row['share']:.1%} {interval}, {row['won']} of {row['decided']}"


def _document(name: str, schema: str) -> dict[str, Any]:
    from vtg_cli.ground import documents

    path = Path(name)
    with documents.reading(name, UsageError, f"it is a file of the schema {schema}"):
        content = documents.json_file(path)
        if content.get("schema") != schema:
            raise ValueError(f"it is no {schema}")
    return content


def _places(output: str, stem: str) -> tuple[Path, Path]:
    place = Path(output)
    page = place if place.suffix.lower() == ".html" else place / f"{stem}.html"
    return page, page.with_suffix(".mp4")


def _check_free(places: Sequence[Path], overwrite: bool) -> None:
    for place in places:
        if place.exists() and not overwrite:
            raise UsageError(f"{place} exists", "--overwrite replaces it", subject=str(place))


def _write_beside(a: Frames, b: Frames, video: Path, first: str, overwrite: bool) -> None:
    """Write two clips of one shape side by side, at the first one's rate."""
    import numpy as np

    from vtg_cli.media.clip import open_clip
    from vtg_cli.media.encoding import Encoding, Input
    from vtg_cli.media.video import open_sink

    with open_clip(Input(path=first), until=1) as clip:
        rate = clip.rate
    height, width = a.shape[1:3]
    encoding = Encoding(overwrite=overwrite)
    with open_sink(
        str(video), encoding, height=height, width=2 * width, channels=3, fps=rate
    ) as sink:
        for pair in zip(a, b, strict=True):
            sink.write(np.hstack(pair))
