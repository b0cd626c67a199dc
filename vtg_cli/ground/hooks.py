"""The two ways into a network: `overriding` its modules' forward, and `recording` their outputs.

An override is removed when its `with` block closes, also after an exception. Overrides nest: the
one opened last runs first and reaches the others through `forward`. torch.compile must see an
override before it compiles, so compile inside the block or not at all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any

from torch import Tensor, nn

Override = Callable[..., Any]  # fn(module, forward, *args, **kwargs) -> what forward would return


Routes = dict[nn.Module, Callable[..., Any]]
"""Replaced forward functions of one override, by module."""


@contextmanager
def overriding(
    modules: Iterable[nn.Module], fn: Override, routes: Routes | None = None
) -> Iterator[None]:
    """Route forward() of every module through `fn(module, forward, *args, **kwargs)` while open.

    routes: kept by a caller that opens the same override again and again, so that modules get the
        very same object each time, which compiled code asks for
    """
    routes = {} if routes is None else routes
    with ExitStack() as stack:
        for module in modules:
            covered = module.__dict__.get("forward")  # an override opened before, if any
            routed: Callable[..., Any] = partial(fn, module, module.forward)
            if covered is None:
                routed = routes.setdefault(module, routed)
            object.__setattr__(module, "forward", routed)
            stack.callback(_restore, module, covered)
        yield


def _restore(module: nn.Module, covered: Any) -> None:
    if covered is None:
        module.__dict__.pop("forward", None)
    else:
        object.__setattr__(module, "forward", covered)


@contextmanager
def recording(modules: Iterable[nn.Module]) -> Iterator[list[Tensor]]:
    """Collect what the modules return while open, in the order of the calls."""
    outputs: list[Tensor] = []

    def keep(
        _module: nn.Module, forward: Callable[..., Tensor], *args: Any, **kwargs: Any
    ) -> Tensor:
        outputs.append(out := forward(*args, **kwargs))
        return out

    with overriding(modules, keep):
        yield outputs
