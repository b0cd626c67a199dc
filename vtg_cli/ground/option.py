"""An option, declared once: at a field of a job, beside its type, stands all that a person is told
of it and all that is checked of it alone. From the declaration come the terminal's parameter, help
and completion, the keyword in Python, the range check, a timeline's schema and template, a
manifest's cell and "this model has no use for it".

    steps: Annotated[int | None, Opt("Denoising steps.", SAMPLING, "N", low=1, high=1000)] = None

Rules between options stand in job/checks.py.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, fields, is_dataclass
from fractions import Fraction
from functools import cache
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

OUTPUT, TIMING, TEXT, MODEL = "Output", "Timing", "Text (models that take it)", "Model"
SAMPLING = "Sampling (diffusion models only)"
PICTURE, QUALITY, MACHINE = "Picture", "Quality", "Machine"
TRUTH = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
PANELS = (OUTPUT, TIMING, TEXT, MODEL, SAMPLING, PICTURE, QUALITY, MACHINE)
"""The groups of `--help`, in order."""


@dataclass(frozen=True)
class Opt:
    """An option's declaration: everything known of it beside its type and default.

    help:     for people who have never seen a diffusion model
    panel:    its group in `--help`; "": the terminal has no such option
    metavar:  what stands for its value in `--help`; None: follows from the type
    flags:    its spellings on the terminal; (): --name-of-the-field
    needs:    what a model must be for it to count: "diffusion", "text": one that reads captions, or
              "network": any but flow
    idle:     values that every model takes
    scope:    where a timeline may set it: "segment", "clip", or "run" for what no file holds
    low, high: the least and the most of a number, or of each of several
    read:     what a person may write, of whatever type -> the value; None: it is the value
    shown:    the default as the terminal shows it, where `read` is needed to read it
    schema:   what a timeline file may hold, as JSON Schema; None: follows from the type
    example:  a value in the timeline file that `vtg timeline init` writes
    common:   `--help` shows it; the others are shown by `--help-all`
    complete: name of the function in cli/complete.py that completes it
    variable: of the environment, which sets another default on the terminal
    """

    help: str
    panel: str
    metavar: str | None = None
    flags: tuple[str, ...] = ()
    needs: Literal["diffusion", "text", "network"] | None = None
    idle: tuple[object, ...] = ()
    scope: Literal["segment", "clip", "run"] = "segment"
    low: float | Fraction | None = None
    high: float | None = None
    read: Callable[[Any], Any] | None = None
    shown: str | None = None
    schema: Mapping[str, Any] | None = None
    example: object = None
    common: bool = False
    complete: str | None = None
    variable: str | None = None


@dataclass(frozen=True)
class Option:
    """A declared field.

    owner: the dataclass it stands in
    group: the name of the job's field that holds the owner, "" where the job itself is the owner
    kind: its type without None
    """

    name: str
    owner: type[Any]
    group: str
    kind: Any
    optional: bool
    default: Any
    opt: Opt

    @property
    def flag(self) -> str:
        """Its first spelling on the terminal, by which messages call it."""
        flags = self.opt.flags or (f"--{self.name.replace('_', '-')}",)
        return flags[0].strip(" /").split("/")[0]

    @property
    def key(self) -> str:
        """Its name in timelines: that of the flag."""
        return self.flag.removeprefix("--").replace("-", "_")

    @property
    def choices(self) -> tuple[str, ...]:
        """The words it may be; (): any."""
        return get_args(self.kind) if get_origin(self.kind) is Literal else ()

    def parse(self, text: str) -> Any:
        """Read the value from text of a table's cell or `--set`; text that is none stays text."""
        if self.opt.read is not None:
            return text
        if self.kind is bool:
            return TRUTH.get(text.lower(), text)
        try:
            return self.kind(text) if self.kind in (int, float) else text
        except ValueError:
            return text

    def of(self, job: Any) -> Any:
        """Return this option's value in a job."""
        return getattr(getattr(job, self.group) if self.group else job, self.name)

    def is_set(self, job: Any) -> bool:
        """Return whether its value is neither the default nor one that every model takes."""
        value = self.of(job)
        return value != self.default and value not in self.opt.idle


@cache
def options_of(job: type[Any], group: str = "") -> Mapping[str, Option]:
    """Map names to options for all fields of a dataclass that are declared as such, those of the
    dataclasses that its fields hold (one level down) included.
    """
    options: dict[str, Option] = {}
    hints = get_type_hints(job, include_extras=True)
    for each in fields(job):
        hint = hints[each.name]
        if is_dataclass(hint):
            assert isinstance(hint, type)
            options |= options_of(hint, each.name)
        elif get_origin(hint) is Annotated:
            kind, *extras = get_args(hint)
            parts = [part for part in get_args(kind) if part is not type(None)]
            optional = type(None) in get_args(kind)
            default = None if each.default is MISSING else each.default
            (opt,) = (extra for extra in extras if isinstance(extra, Opt))
            kind = parts[0] if optional else kind
            options[each.name] = Option(each.name, job, group, kind, optional, default, opt)
    return options
