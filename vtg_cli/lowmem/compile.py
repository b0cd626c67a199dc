"""torch.compile for the transformer blocks of a network, one by one.

Blocks and not the whole network: there are a few kinds of them, many times over, and what lies
between is told from outside what to do (backbones/svd/shortcuts.py, deepcache.py). It is an
override, so a block is compiled at its first call, with all that methods have put into it by then;
what they put around it runs as ever.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

import torch
from torch import nn

from vtg_cli.errors import VtgError
from vtg_cli.ground.hooks import overriding

VERSIONS = 512
"""Versions of one piece of code that may be compiled: each block has its own overrides, and so its
own."""


class Blocks(Protocol):
    """A network with parts to compile: a Backbone, or the engine of learned motion."""

    def modules(self, kind: str) -> Sequence[nn.Module]:
        """Return the parts, of kind "block"."""


@contextmanager
def compiling(m: Blocks, *, backend: str = "inductor") -> Iterator[None]:
    """Compile the model's blocks while open. Raise VtgError if that fails."""
    import torch._dynamo as dynamo

    compiled: dict[nn.Module, Callable[..., Any]] = {}

    def run(module: nn.Module, forward: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        if module not in compiled:
            compiled[module] = torch.compile(forward, dynamic=False, backend=backend)
        try:
            return compiled[module](*args, **kwargs)
        except dynamo.exc.TorchDynamoException as error:
            reason = str(error).strip().splitlines()[0]
            raise VtgError(
                f"torch.compile failed: {reason}", "leave --compile out", subject="--compile"
            ) from error

    limit = "recompile_limit" if hasattr(dynamo.config, "recompile_limit") else "cache_size_limit"
    limits: dict[str, Any] = {limit: VERSIONS, f"accumulated_{limit}": VERSIONS}  # torch 2.6's name
    with dynamo.config.patch(**limits), overriding(m.modules("block"), run):
        yield
