"""Low-rank updates of linear layers, mixed while sampling.

    out = W h + sum over keyframes k of w_k * B_k A_k h

A mix acts on the updates, sum of w_i * B_i A_i, never on the factors: mixing A and B separately is
another, wrong matrix (cross terms B_i A_j).

A weight may differ from frame to frame. The rows of a layer's input are then told apart by how the
networks fold frames, batch outermost: [B F, n, D], or [B, F|1, n, D] where tokens are shared.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from vtg_cli.errors import WeightsError
from vtg_cli.ground.tensor import is_finite

Factors = tuple[Tensor, Tensor]
"""(A [r, D_in], B [D_out, r]); the update of a weight [D_out, D_in] is B @ A."""
Weight = float | Tensor
"""Weight of an update: one number; [F], one per frame; [n, F], the same for n directions of time
outermost in the batch; or with more axes, whatever broadcasts to a layer's input."""
ENDINGS = (".lora_A.weight", ".lora_B.weight")
"""Endings of the tensors' names in a file, as peft has them with alpha = r."""

HINT = "fit it again for this model and these pictures"


def mix_updates(
    updates: Sequence[Mapping[nn.Module, Factors]], weights: Sequence[Weight]
) -> Callable[..., Tensor]:
    """Return an override for linear layers (hooks.overriding): forward(h) + sum of w_i * h A_i^T
    B_i^T, in h's precision.

    weights: one Weight per update

    The override raises ValueError if a layer's rows are not a whole number of clips of so many
    frames.
    """

    def mixed(module: nn.Module, forward: Callable[..., Tensor], h: Tensor, *args: Any) -> Tensor:
        out = forward(h, *args)
        for update, w in zip(updates, weights, strict=True):
            if isinstance(w, Tensor):
                w = _over_rows(w, h)
            elif w == 0:
                continue
            a, b = update[module]
            out = out + w * (h @ a.to(h).T @ b.to(h).T)
        return out

    return mixed


def _over_rows(w: Tensor, h: Tensor) -> Tensor:
    """Reshape a weight so that it broadcasts to a layer's input."""
    if w.ndim not in (1, 2):
        return w.to(h)
    directions = w.reshape(-1, w.shape[-1]).to(h)
    frames, folded = w.shape[-1], h.ndim == 3
    clips, rest = divmod(len(h), frames) if folded else (len(h), 0)
    if rest or clips % len(directions):
        raise ValueError(
            f"weights for {len(directions)} directions of {frames} frames do not fit a layer's "
            f"{len(h)} rows; if those are clips, it does not tell frames apart"
        )
    each = directions.repeat_interleave(clips // len(directions), 0)
    return each.flatten()[:, None, None] if folded else each[:, :, None, None]


@dataclass(frozen=True)
class Pair:
    """The updates of the same layers of one network, one per keyframe (two, or more)."""

    updates: tuple[Mapping[nn.Module, Factors], ...]

    @property
    def layers(self) -> list[nn.Module]:
        """Layers that hooks.overriding is to route through `mixed`."""
        return list(self.updates[0])

    def mixed(self, weights: Sequence[Weight]) -> Callable[..., Tensor]:
        """Return the override that adds the updates, one Weight each. Raise ValueError.

        Layers whose rows do not tell frames apart (SVD's cross-attention behind its shortcut) are
        mixed by one number alone; training.pair_layers.applied takes them apart.
        """
        if len(weights) != len(self.updates):
            raise ValueError(f"{len(weights)} weights for {len(self.updates)} updates")
        return mix_updates(self.updates, weights)


def save(update: Mapping[nn.Module, Factors], network: nn.Module, file: Path) -> None:
    """Write an update under its layers' names in the network, in the precision it has.

    Raises OSError or SafetensorError if that fails; half a file may be left.
    """
    names = {id(module): name for name, module in network.named_modules()}
    tensors = {
        names[id(module)] + ending: factor.detach().cpu().contiguous()
        for module, factors in update.items()
        for ending, factor in zip(ENDINGS, factors, strict=True)
    }
    save_file(tensors, file)


def load(
    file: Path, layers: Mapping[str, nn.Linear], device: torch.device
) -> dict[nn.Module, Factors]:
    """Load the update in a file that `save` wrote, on a device.

    layers: those it has to be of, by name

    Raises WeightsError for a missing or damaged file and for one of another network.
    """
    try:
        with safe_open(file, framework="pt") as opened:
            tensors = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118
    except (SafetensorError, OSError, ValueError) as error:
        raise WeightsError(
            f"{file} cannot be read as a LoRA: {error}", HINT, subject=str(file)
        ) from error
    if tensors.keys() != {name + ending for name in layers for ending in ENDINGS}:
        odd = tensors.keys() ^ {name + ending for name in layers for ending in ENDINGS}
        raise WeightsError(
            f"{file} is a LoRA of other layers than this model's: {min(odd)}",
            HINT,
            subject=str(file),
        )
    update: dict[nn.Module, Factors] = {}
    for name, layer in layers.items():
        a, b = (tensors[name + ending] for ending in ENDINGS)
        fits = (
            a.ndim == b.ndim == 2
            and (b.shape[0], a.shape[1]) == tuple(layer.weight.shape)
            and a.shape[0] == b.shape[1]
        )
        if not fits:
            raise WeightsError(f"{file} does not fit this model: {name}", HINT, subject=str(file))
        for ending, factor in zip(ENDINGS, (a, b), strict=True):
            if not is_finite(factor):
                raise WeightsError(
                    f"{file} is damaged: {name}{ending} holds values that are not numbers",
                    HINT,
                    subject=str(file),
                )
        update[layer] = (a.to(device), b.to(device))
    return update
