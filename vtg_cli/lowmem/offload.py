"""Weights that lie on the host, and are on the device only while the module they belong to works.

Plain hooks of torch, which run around whatever `forward` is at the time: hooks.overriding may be
open already or open later, and nothing has to be taken off for it.

diffusers' offloading and layerwise casting are hooks that replace `forward` themselves: an override
that closes after them takes them away, one that reads a layer's weights (shortcuts._flat_conv)
finds them in 8 bits, and the casting cannot be undone. It has no scale either: of normal weights
with a deviation of 0.02 a bare cast keeps all but 3.3 %, of 0.005 all but 11 %, of 0.001 all but
56 %, where one scale a matrix keeps all but 2.7 % of each.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from vtg_cli.machine.rungs import Weights

NARROW = torch.float8_e4m3fn
LARGEST = torch.finfo(NARROW).max


class Resting:
    """A parameter's values on the host. narrow: in 8 bits, with one scale for the whole tensor, so
    that small weights do not fall to zero.
    """

    def __init__(self, parameter: nn.Parameter, narrow: bool) -> None:
        self.parameter, self.dtype = parameter, parameter.dtype
        values = parameter.data.cpu()
        self.scale: float | None = None
        if narrow:
            self.scale = max(float(values.abs().max()) / LARGEST, torch.finfo(torch.float32).tiny)
            values = (values.float() / self.scale).to(NARROW)
        self.values = values
        self.rest()

    def fetch(self, device: torch.device) -> None:
        self.parameter.data = self.on(device)

    def rest(self) -> None:
        self.parameter.data = self.values

    def on(self, device: torch.device) -> Tensor:
        """Return the values on a device, as they are computed with."""
        moved = self.values.to(device)
        return moved if self.scale is None else moved.to(self.dtype) * self.scale


@contextmanager
def away(
    parts: Iterable[nn.Module],
    device: torch.device,
    by: Weights,
    *,
    narrow: Collection[nn.Module] = (),
) -> Iterator[None]:
    """Bring matrices of the parts to the device by the block or by the layer while open; they lie
    on the host after.

    narrow: those of the parts whose weights lie in 8 bits

    Vectors stay on the device, as they are small.
    """
    resting: list[Resting] = []
    with ExitStack() as stack:
        stack.callback(_wide, resting)
        for part in parts:
            _takes_in(stack, part, [], device)
            for module, parameters in units(part, by):
                held = [Resting(p, part in narrow) for p in parameters if p.ndim > 1]
                resting += held
                if held:
                    _takes_in(stack, module, held, device)
            _small_ones_to(part, resting, device)
        yield


def units(part: nn.Module, by: Weights) -> Iterator[tuple[nn.Module, list[nn.Parameter]]]:
    """Yield what comes and goes together: the module whose call brings it, and its parameters.

    By the block: what the part is made of, its lists opened. By the layer: modules without others
    in them, and attentions, whose layers overrides read (sampling.fusion.rotate_pairs).
    """
    for child in part.children():
        listed = isinstance(child, nn.ModuleList)
        whole = by == "blocks" or hasattr(child, "to_q") or not any(True for _ in child.children())
        if whole and not listed:
            yield child, list(child.parameters())
            continue
        if not listed:
            yield child, list(child.parameters(recurse=False))
        yield from units(child, by)


def _takes_in(
    stack: ExitStack, module: nn.Module, held: list[Resting], device: torch.device
) -> None:
    def before(_: nn.Module, args: Any, kwargs: Any) -> Any:
        with torch.inference_mode(False), torch.no_grad():  # these outlive the call
            for each in held:
                each.fetch(device)
        moved = tuple(_there(value, device) for value in args)
        return moved, {name: _there(value, device) for name, value in kwargs.items()}

    def after(*_: Any) -> None:
        for each in held:
            each.rest()

    stack.callback(module.register_forward_pre_hook(before, with_kwargs=True).remove)
    stack.callback(module.register_forward_hook(after, always_call=True).remove)


def _there(value: Any, device: torch.device) -> Any:
    return value.to(device) if isinstance(value, Tensor) else value


def _small_ones_to(part: nn.Module, resting: list[Resting], device: torch.device) -> None:
    away = {id(each.parameter) for each in resting}
    for parameter in part.parameters():
        if id(parameter) not in away:
            parameter.data = parameter.data.to(device)
    for module in part.modules():
        for name, buffer in [*module.named_buffers(recurse=False)]:
            setattr(module, name, buffer.to(device))


def _wide(resting: list[Resting]) -> None:
    host = torch.device("cpu")
    for each in resting:
        each.parameter.data = each.on(host)
