"""vtg train: reverse motion, with or without alignment, and LoRAs of pairs of pictures."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

import typer

from vtg_cli.cli import train_options as t
from vtg_cli.cli.commands import Command
from vtg_cli.cli.console import answer, say
from vtg_cli.cli.options import Debug, declared, own, taking
from vtg_cli.errors import Interrupted, UsageError

if TYPE_CHECKING:
    from vtg_cli.training.settings import Settings

app = typer.Typer(
    name="train",
    help="Train what makes a model draw in-betweens: reverse motion, alignment, LoRAs of a pair.",
    no_args_is_help=True,
)


@app.command("reverse-motion", cls=Command)
@taking(*t.COMMON)
def reverse_motion(ctx: typer.Context, **_: Any) -> None:
    """Train a model to draw backwards in time (Generative Inbetweening).

    vtg train reverse-motion clips/ -o run --model svd

    Tunes the value and output projections of temporal self-attention in the time-reversed half,
    under the forward half's attention maps. 'vtg interpolate --reverse run/reverse.safetensors'
    draws with it. Several GPUs: accelerate launch -m vtg_cli train reverse-motion ...
    """
    _run(_settings("reverse-motion", dict(ctx.params)), ctx.params)


@app.command("align", cls=Command)
@taking(*t.COMMON, *t.ALIGNED)
def align(ctx: typer.Context, **_: Any) -> None:
    """Reverse motion with its hidden states aligned to DINOv2's features (VTG's objective).

    vtg train align clips/ -o run --model dynamicrafter --encoder dinov2-base --rate 1e-5

    The encoder and the projector between it and the network are dropped at the end: what is left is
    a file like that of reverse-motion.
    """
    from vtg_cli.training.settings import Alignment

    given = dict(ctx.params)
    alignment = Alignment(**{each.name: given.pop(each.name) for each in t.ALIGNED})
    _run(_settings("align", given, alignment), ctx.params)


@app.command("pair-lora", cls=Command)
@taking(
    own("first", t.First),
    own("last", t.Last),
    own("output", t.Fits),
    *declared("model", "prompts", "width", "height", "fit", "device", "dtype"),
    own("dry_run", t.DryRun, False),
    own("as_json", t.Json, False),
    own("quiet", t.Quiet, False),
    own("debug", Debug, False),
)
def pair_lora(ctx: typer.Context, **_: Any) -> None:
    """Fit a LoRA to each of two pictures, as 'vtg interpolate --lora fit' does (DiffMorpher, VTG).

    vtg train pair-lora a.png b.png -o loras --model dynamicrafter --prompt "a lion; a truck"

    'vtg interpolate a.png b.png --lora loras', with the same model, captions and size, draws with
    them. The same command goes on where it stopped.
    """
    from vtg_cli.cli.bar import progress
    from vtg_cli.job.checks import validated
    from vtg_cli.job.keywords import job_of
    from vtg_cli.render import pair_fit

    given = dict(ctx.params)
    first, last, output = (given.pop(name) for name in ("first", "last", "output"))
    shown = {name: given.pop(name) for name in ("dry_run", "as_json", "quiet", "debug")}
    given["prompts"] = tuple(given["prompts"] or ())
    job = job_of([first, last], {**given, "lora": "fit"})  # type: ignore[typeddict-item]
    validated(job)
    plan = pair_fit.plan_of(job)
    height, width = plan.drawn
    if shown["dry_run"]:
        document = {"model": plan.model.name, "size": f"{width}x{height}", "output": output}
        lines = (f"fit       {plan.model.name} to two pictures at {width}x{height}", output)
        answer(document, *lines, as_json=shown["as_json"], indent=2)
        return
    note: Callable[[str], None] = (lambda _: None) if shown["quiet"] else say
    with ending_after_a_step() as ended, progress(quiet=shown["quiet"]) as show:
        report = pair_fit.fit(
            *(plan, Path(output)),
            progress=show or (lambda *_: None),
            cancel=lambda: bool(ended),
            on_note=note,
        )
    answer(report, output, as_json=shown["as_json"], indent=2)


def _settings(kind: Any, given: dict[str, Any], alignment: Any = None) -> Settings:
    from vtg_cli.training.settings import Settings

    for name in ("dry_run", "as_json", "quiet", "debug"):
        given.pop(name)
    given["size"] = size_of(given["size"])
    return Settings(kind=kind, alignment=alignment, **given)


def _run(settings: Settings, shown: dict[str, Any]) -> None:
    from vtg_cli.cli.bar import progress
    from vtg_cli.training import outline, train

    task = train.prepared(settings)
    plan = outline.outline(task)
    as_json, quiet = shown["as_json"], shown["quiet"]
    if shown["dry_run"]:
        answer(plan, *outline.lines(plan), as_json=as_json, indent=2)
        return
    note: Callable[[str], None] = (lambda _: None) if quiet else say
    for line in outline.warnings(plan):
        note(line)
    with ending_after_a_step() as ended, progress(quiet=quiet, expected=plan["seconds"]) as show:
        try:
            report = train.train(
                task, progress=show or (lambda *_: None), note=note, stop=lambda: bool(ended)
            )
        except Interrupted as stopped:
            note(f"{stopped.message}: the same command goes on from there")
            raise
    if report:
        answer(report, *outline.summary(report), as_json=as_json, indent=2)


@contextmanager
def ending_after_a_step() -> Iterator[list[int]]:
    """Yield a list that a signal to end adds its number to; a second one ends at once.

    The first is raised again when the block is left, so that the exit code is as always.
    """
    came: list[int] = []
    numbers = {signal.SIGINT, signal.SIGTERM, getattr(signal, "SIGHUP", signal.SIGTERM)}
    before = {number: signal.getsignal(number) for number in numbers}

    def end(signum: int, frame: FrameType | None) -> None:
        if came:
            signal.signal(signum, before[signal.Signals(signum)])
            signal.raise_signal(signum)
        came.append(signum)

    for number in numbers:
        if before[number] is not signal.SIG_IGN:  # nohup asks for that
            signal.signal(number, end)
    try:
        yield came
    except Interrupted:
        _restore(before)
        if came:
            signal.raise_signal(came[0])
        raise
    finally:
        _restore(before)


def _restore(handlers: dict[signal.Signals, Any]) -> None:
    for number, handler in handlers.items():
        signal.signal(number, handler)


def size_of(text: str | None) -> tuple[int, int] | None:
    """Parse WxH into (height, width)."""
    if text is None:
        return None
    width, _, height = text.lower().partition("x")
    if not (width.isdecimal() and height.isdecimal() and int(width) and int(height)):
        raise UsageError(f"--size {text} is no size", "such as 1024x576", subject="--size")
    return int(height), int(width)
