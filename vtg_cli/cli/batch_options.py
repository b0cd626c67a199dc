"""The options of vtg batch alone, in the manner of options.py."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import typer

Engine = Literal["local", "ray"]
BATCH = "Batch"


def _option(*flags: str, help: str, **more: Any) -> Any:
    return typer.Option(*flags, help=help, rich_help_panel=BATCH, **more)


Sources = Annotated[
    list[str],
    typer.Argument(
        metavar="SOURCE...",
        show_default=False,
        help="A folder of pictures in pairs (NAME_a and NAME_b, NAME_0 and NAME_1, NAME_first and "
        "NAME_last), a manifest (.csv, .jsonl, .toml), or reports of earlier runs (.json).",
    ),
]
Place = Annotated[
    str,
    _option("--output", "-o", metavar="DIR", help="Folder the clips go to, or an fsspec URL."),
]
Template = Annotated[
    str | None,
    _option(
        "--output-template",
        metavar="TEMPLATE",
        help="Name of a clip, from {name} {index} {first} {last} {model} {seed}; the suffix "
        "decides the format. Default: {name}.mp4.",
    ),
]
Chain = Annotated[
    bool,
    _option(
        "--chain", help=("For a folder: pair every picture with the next one, in natural order.")
    ),
]
Recursive = Annotated[
    bool,
    _option(
        "--recursive",
        help=("For a folder: include those below it. The clips go to folders of the same names."),
    ),
]
Resume = Annotated[
    bool,
    _option(
        "--resume",
        help="Continue a stopped batch, or begin a new one: for scripts that always pass it. "
        "Clips that exist with the same content are skipped with or without it.",
    ),
]
Shard = Annotated[
    str | None,
    _option("--shard", metavar="I/N", help="Only part I of N, 1/N to N/N, for cluster arrays."),
]
EngineName = Annotated[
    Engine,
    _option("--engine", help="local: processes of this machine. ray: actors of a Ray cluster."),
]
Workers = Annotated[
    int | None,
    _option(
        "--workers",
        metavar="N",
        min=1,
        max=1024,
        help="Clips made at the same time. Default: one for every GPU, or one; ray: one a node.",
    ),
]
RayAddress = Annotated[
    str | None,
    _option(
        "--ray-address",
        metavar="ADDRESS",
        help="The cluster, such as auto or 10.0.0.1:6379. Default: RAY_ADDRESS, or Ray started on "
        "this machine for the batch.",
    ),
]
Retries = Annotated[
    int,
    _option(
        "--retries",
        metavar="N",
        min=0,
        max=100,
        help="Further attempts after a failure that may pass: a full disk, a lost connection, "
        "memory, a killed worker.",
    ),
]
RetryWait = Annotated[
    float,
    _option(
        "--retry-wait",
        metavar="SECONDS",
        min=0,
        max=3600,
        help="Wait before the second attempt; doubled for each further one, to a minute at most.",
    ),
]
FailFast = Annotated[bool, _option("--fail-fast", help="End with the first item that fails.")]
Overwrite = Annotated[
    bool,
    _option("--overwrite", help="Replace files that no batch made, or that were changed since."),
]
