"""vtg: keyframes in, video out.

Names are imported when they are first asked for, so that `import vtg_cli` costs nothing.
"""

from __future__ import annotations

TYPE_CHECKING = False  # as of typing, which would take longest of all that starting imports
if TYPE_CHECKING:
    from vtg_cli.api import evaluate, interpolate, predict
    from vtg_cli.conditioning.keyframes import Keyframes
    from vtg_cli.errors import VtgError
    from vtg_cli.job.jobs import Interpolate, Timeline
    from vtg_cli.job.keywords import Options
    from vtg_cli.job.sampling import Sampling
    from vtg_cli.plan.needs import Preflight
    from vtg_cli.render.draw import Rendering

__version__ = "0.1.0"

__all__ = [
    "Interpolate",
    "Keyframes",
    "Options",
    "Preflight",
    "Rendering",
    "Sampling",
    "Timeline",
    "VtgError",
    "__version__",
    "evaluate",
    "interpolate",
    "predict",
]

_HOMES = {
    "Interpolate": "vtg_cli.job.jobs",
    "Keyframes": "vtg_cli.conditioning.keyframes",
    "Options": "vtg_cli.job.keywords",
    "Preflight": "vtg_cli.plan.needs",
    "Rendering": "vtg_cli.render.draw",
    "Sampling": "vtg_cli.job.sampling",
    "Timeline": "vtg_cli.job.jobs",
    "VtgError": "vtg_cli.errors",
    "evaluate": "vtg_cli.api",
    "interpolate": "vtg_cli.api",
    "predict": "vtg_cli.api",
}


def __getattr__(name: str) -> object:
    from importlib import import_module

    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
