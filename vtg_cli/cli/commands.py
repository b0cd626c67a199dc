"""The commands by name. Each is imported when it is asked for, so that their list costs nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import Any, NamedTuple, cast

import typer
from typer.core import TyperCommand, TyperGroup


class Place(NamedTuple):
    """A command's place under vtg_cli.cli, and its summary: the first paragraph of its help, which
    would have to be imported.
    """

    home: str
    summary: str


COMMANDS = {
    "interpolate": Place(
        "create.interpolate", "Draw the frames between pictures and write them as a video."
    ),
    "morph": Place("presets.morph", "Turn one thing into another, picture by picture."),
    "blend": Place("presets.blend", "Blend two ideas: halfway there is something of both."),
    "transition": Place("presets.transition", "Lead from one scene to another."),
    "bridge": Place(
        "bridge.bridge",
        "Lead from one clip to another: draw the frames between them, and splice.",
    ),
    "slow": Place(
        "clips.slow", "Slow a clip down: draw the frames that its motion passes through."
    ),
    "retime": Place(
        "clips.retime",
        "Give a clip another frame rate or another length, with in-betweens where frames are "
        "lacking.",
    ),
    "run": Place(
        "create.run",
        "Make a clip again from the .json beside it: the same frames, from the same pictures.",
    ),
    "inspect": Place(
        "inspect.inspect", "Tell what pictures have in common and what to draw between them with."
    ),
    "doctor": Place(
        "doctor.doctor",
        "Check ffmpeg, torch, GPUs, memory, the cache, models and the hub; say what to do.",
    ),
    "render": Place(
        "timeline.render",
        "Draw a timeline: keyframes with their times, and settings of its own for each segment.",
    ),
    "batch": Place(
        "batch.batch",
        "Make many clips: pairs of pictures from a folder, or what a manifest lists.",
    ),
    "eval": Place(
        "eval.app", "Compute the tables of papers, score clips, compare two, ask people."
    ),
    "timeline": Place("timeline.app", "Write and check timeline files."),
    "train": Place(
        "train.app",
        "Train what makes a model draw in-betweens: reverse motion, alignment, LoRAs of a pair.",
    ),
    "data": Place(
        "data.app", "Look through clips for training, render some, and cache their latents."
    ),
    "models": Place(
        "models.app",
        "List, fetch, check, convert and remove the weights of models. Nothing else downloads "
        "anything.",
    ),
}


GROUPS = {
    "Make": ("interpolate", "morph", "blend", "transition", "run"),
    "Clips": ("slow", "retime", "bridge"),
    "Many": ("batch", "render", "timeline"),
    "Models": ("models",),
    "Train": ("train", "data"),
    "Check": ("inspect", "eval", "doctor"),
}
"""Groups of the list of commands."""


class Commands(TyperGroup):
    """The group of all commands, which lists them without importing any."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.commands = cast("Any", _Imported())

    def list_commands(self, ctx: Any) -> list[str]:
        return [name for names in GROUPS.values() for name in names]

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        for title, names in GROUPS.items():
            with formatter.section(title):
                formatter.write_dl([(f"{name:<11}", COMMANDS[name].summary) for name in names])


class Command(TyperCommand):
    """A command whose help is plain text, by the groups of its options."""

    def format_options(self, ctx: Any, formatter: Any) -> None:
        panels: dict[str, list[tuple[str, str]]] = {}
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx)
            if record is not None:
                panel = getattr(parameter, "rich_help_panel", None) or "Options"
                panels.setdefault(panel, []).append(record)
        for panel, records in panels.items():
            with formatter.section(panel):
                formatter.write_dl(records, col_max=26)

    def shell_complete(self, ctx: Any, incomplete: str) -> Any:
        """Complete the options that only --help-all shows, too."""
        for parameter in self.get_params(ctx):
            cast("Any", parameter).hidden = False
        return super().shell_complete(ctx, incomplete)


class _Imported(Mapping[str, Any]):
    """A map from names to commands, imported and made when they are looked up."""

    def __init__(self) -> None:
        self._made: dict[str, Any] = {}

    def __getitem__(self, name: str) -> Any:
        if name not in self._made:
            self._made[name] = _made(name, COMMANDS[name].home)
        return self._made[name]

    def __iter__(self) -> Iterator[str]:
        return iter(COMMANDS)

    def __len__(self) -> int:
        return len(COMMANDS)


def _made(name: str, home: str) -> Any:
    module, _, attribute = home.rpartition(".")
    command = getattr(import_module(f"vtg_cli.cli.{module}"), attribute)
    group = typer.Typer(add_completion=False, rich_markup_mode=None)
    group.callback()(lambda: None)  # without one, a single command would not be a group's
    if isinstance(command, typer.Typer):
        group.add_typer(command, name=name, no_args_is_help=False)
    else:
        group.command(name, cls=Command)(command)
    commands = cast("TyperGroup", typer.main.get_command(group))
    return commands.commands[name]
