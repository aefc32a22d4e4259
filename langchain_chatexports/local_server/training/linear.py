"""LoRA's linear layers with fewer passes over memory than PEFT's.

PEFT computes `base(x) + up(down(x)) * scaling` in four passes over the result, and as
many over its gradient. For small models on a CPU they cost a tenth of a step
(`benchmarks/training_floor.py`), so matrix products add to the result in place. The
adapter's weights are float32, and its products have the base's precision, as with
torch's autocast.
"""

from functools import partial
from typing import Any

import torch
from torch.nn.functional import linear


class _LoraLinear(torch.autograd.Function):  # type: ignore[misc] # untyped.
    """`x @ weight.T + bias + scaling * (x @ down.T @ up.T)`; the base is frozen."""

    @staticmethod
    def forward(  # noqa: PLR0917 - torch passes them by position.
        ctx: Any,
        x: torch.Tensor,
        weight: torch.Tensor,
        bias: torch.Tensor | None,
        down: torch.Tensor,
        up: torch.Tensor,
        scaling: float,
    ) -> torch.Tensor:
        rows = x.flatten(0, -2)
        ctx.dtype = down.dtype
        down, up = down.to(x.dtype), up.to(x.dtype)
        hidden = rows @ down.t()
        result = linear(rows, weight, bias).addmm_(hidden, up.t(), alpha=scaling)
        ctx.save_for_backward(rows, hidden, weight, down, up)
        ctx.shape, ctx.scaling = x.shape, scaling
        return result.view(*x.shape[:-1], -1)

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> Any:
        rows, hidden, weight, down, up = ctx.saved_tensors
        gradient = gradients[0].flatten(0, -2)
        of_hidden = (gradient @ up).mul_(ctx.scaling)
        of_x = None
        if ctx.needs_input_grad[0]:
            of_x = (gradient @ weight).addmm_(of_hidden, down).view(ctx.shape)
        # Short rows by long columns: the transposed product takes twice as long.
        of_up = (hidden.t() @ gradient).mul_(ctx.scaling).t().to(ctx.dtype)
        return of_x, None, None, (of_hidden.t() @ rows).to(ctx.dtype), of_up, None


def use_fused_layers(model: Any) -> None:
    """Replace the forward pass of PEFT's layers, except of quantized ones."""
    from peft.tuners.lora.layer import Linear

    for layer in model.modules():
        if type(layer) is not Linear or layer.fan_in_fan_out or layer.lora_variant:
            continue
        (name,) = layer.active_adapters
        down, up = layer.lora_A[name].weight, layer.lora_B[name].weight
        base = layer.get_base_layer()
        if type(base) is torch.nn.Linear:
            layer.forward = partial(_forward, base, down, up, layer.scaling[name])


def _forward(
    base: Any, down: torch.Tensor, up: torch.Tensor, scaling: float, x: torch.Tensor
) -> torch.Tensor:
    result: torch.Tensor = _LoraLinear.apply(
        x, base.weight, base.bias, down, up, scaling
    )
    return result
