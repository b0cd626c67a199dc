"""A reverse-motion delta by parameter names, regrouped by the layers it changes."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import torch
from torch import Tensor, nn

from vtg_cli.errors import WeightsError
from vtg_cli.ground.tensor import is_finite
from vtg_cli.sampling.fusion import Delta

FIELDS = {"to_v.weight": "to_v", "to_out.0.weight": "to_out", "to_out.0.bias": "to_out_bias"}


def layer_deltas(
    network: nn.Module, layers: Collection[nn.Module], reverse: Mapping[str, Tensor]
) -> dict[nn.Module, Delta]:
    """Group a delta by the `layers` of a network, which alone it may change.

    reverse: parameter name -> delta

    Raises WeightsError for one that does not fit.
    """
    parameters = {
        f"{name}.{part}": (layer, layer.get_parameter(part))
        for name, layer in network.named_modules()
        if any(layer is chosen for chosen in layers)
        for part in FIELDS
        if part in dict(layer.named_parameters())
    }
    grouped: dict[nn.Module, dict[str, Tensor]] = {}
    for name, delta in reverse.items():
        if name not in parameters:
            raise WeightsError(
                f"the reverse-motion delta has a tensor this model lacks: {name}", subject=name
            )
        layer, weight = parameters[name]
        if delta.shape != weight.shape:
            raise WeightsError(
                f"the reverse-motion delta does not fit: {name} is {list(delta.shape)}, "
                f"the model's is {list(weight.shape)}",
                subject=name,
            )
        part = next(part for part in FIELDS if name.endswith(part))
        fitting = delta.to(weight)
        if not is_finite(fitting):
            raise WeightsError(
                f"the reverse-motion delta does not fit: {name} holds values that are not numbers "
                f"in {str(weight.dtype).removeprefix('torch.')}",
                "--dtype fp32, or make the delta again",
                subject=name,
            )
        grouped.setdefault(layer, {})[FIELDS[part]] = fitting
    return {layer: Delta(**parts) for layer, parts in grouped.items()}


def moved(deltas: Mapping[nn.Module, Delta], device: torch.device) -> dict[nn.Module, Delta]:
    """Move the deltas to a device."""

    def there(value: Tensor | None) -> Tensor | None:
        return None if value is None else value.to(device)

    return {
        layer: Delta(there(delta.to_v), there(delta.to_out), there(delta.to_out_bias))
        for layer, delta in deltas.items()
    }
