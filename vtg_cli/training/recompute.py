"""Gradient checkpointing for any backbone: activations are computed twice, not kept."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import nn

from vtg_cli.backbones.base import Backbone
from vtg_cli.ground.hooks import overriding


@contextmanager
def checkpointing(m: Backbone) -> Iterator[None]:
    """Keep no activations inside the network's blocks while open; they are computed again for the
    gradient. Overrides a backbone opens for a call alone are held open, for that second time.
    """
    from torch.utils.checkpoint import checkpoint

    def again(_module: nn.Module, forward: Callable[..., Any], *args: Any, **options: Any) -> Any:
        if not torch.is_grad_enabled():
            return forward(*args, **options)
        return checkpoint(forward, *args, use_reentrant=False, **options)

    with ExitStack() as stack:
        blocks = [*m.modules("block"), *m.modules("block_along_time")]
        shortcuts = getattr(m, "shortcuts", None)
        if shortcuts is not None:
            stack.enter_context(shortcuts.taking(2))
        stack.enter_context(overriding(blocks, again))
        yield
