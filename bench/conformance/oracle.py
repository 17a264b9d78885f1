"""Recipes' layers in PyTorch, in float64: what the results should be.

run walks the same list of tables that a recipe has, with images [n, h, w, c], and takes its parameters in the order in
which this project builds them. Everything is written with torch.nn.functional, so that PyTorch's formulas and its
automatic differentiation decide.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F

Tensor = torch.Tensor
Layer = dict[str, Any]
Noise = Callable[[Tensor, int], Tensor]  # changes the result of a layer, a sum of so many terms


def pair(layer: Layer, key: str, default: Any) -> tuple[int, int]:
    value = layer.get(key, default)
    return (value, value) if isinstance(value, int) else tuple(value)


def first(x: Tensor) -> Tensor:
    """[n, h, w, c] as [n, c, h, w]."""
    return x.permute(0, 3, 1, 2) if x.ndim == 4 else x


def last(x: Tensor) -> Tensor:
    return x.permute(0, 2, 3, 1) if x.ndim == 4 else x


def padded(layer: Layer, x: Tensor, fill: float) -> tuple[Tensor, tuple[int, int]]:
    """x [n, c, h, w] and the padding to pass on. Padding of [top, left, bottom, right] is added here, as PyTorch's layers have
    the same on both sides."""
    padding = layer.get("padding", 0)
    if isinstance(padding, list) and len(padding) == 4:
        top, left, bottom, right = padding
        return F.pad(x, (left, right, top, bottom), value=fill), (0, 0)
    return x, pair(layer, "padding", 0)


def exact(t: Tensor, terms: int) -> Tensor:
    """No noise."""
    return t


class State:
    """Parameters and running statistics, each in the order in which they are used."""

    def __init__(self, params: dict[str, Tensor], training: bool, noise: Noise = exact) -> None:
        self.params = iter([v for k, v in params.items() if "running_" not in k])
        self.statistics = iter([v for k, v in params.items() if "running_" in k])
        self.training = training
        self.noise = noise

    def param(self) -> Tensor:
        return next(self.params)

    def normalised(self, y: Tensor, x: Tensor, dims: list[int], epsilon: float, gamma: Tensor, beta: Tensor) -> Tensor:
        """y, the normalisation of x over dims; with noise, computed step by step, because its gradient is a difference of
        terms that may cancel, so that errors of the terms count and not those of the difference."""
        if self.noise is exact:
            return y
        m = math.prod(x.shape[d] for d in dims)
        centred = self.noise(x - self.noise(x.mean(dims, keepdim=True), m), 1)
        inverse = self.noise(torch.rsqrt(self.noise((centred**2).mean(dims, keepdim=True), m) + epsilon), 1)
        return self.noise(self.noise(centred * inverse, 1) * gamma + beta, 1)


def float32(x: float) -> float:
    """A setting as this project keeps it."""
    return float(torch.tensor(x, dtype=torch.float32))


def conv2d(l: Layer, x: Tensor, s: State) -> Tensor:
    w = s.param()
    b = s.param() if l.get("bias", True) else None
    x, padding = padded(l, first(x), 0)
    y = F.conv2d(x, first(w), b, pair(l, "stride", 1), padding, pair(l, "dilation", 1), l.get("groups", 1))
    return s.noise(last(y), w[0].numel() + 1)


def conv2d_transpose(l: Layer, x: Tensor, s: State) -> Tensor:
    w = s.param()
    b = s.param() if l.get("bias", True) else None
    y = F.conv_transpose2d(first(x), first(w), b, pair(l, "stride", 1), pair(l, "padding", 0), pair(l, "output-padding", 0),
                           l.get("groups", 1), pair(l, "dilation", 1))
    return s.noise(last(y), w[:, 0].numel() + 1)


def dense(l: Layer, x: Tensor, s: State) -> Tensor:
    y = x @ s.param()
    if l.get("bias", True):
        y = y + s.param()
    return s.noise(y, x.shape[-1] + 1)


def max_pool(l: Layer, x: Tensor, s: State) -> Tensor:
    x, padding = padded(l, first(x), -float("inf"))
    return last(F.max_pool2d(x, pair(l, "kernel", 2), pair(l, "stride", l["kernel"]), padding, pair(l, "dilation", 1), l.get("ceil-mode", False)))


def avg_pool(l: Layer, x: Tensor, s: State) -> Tensor:
    y = F.avg_pool2d(first(x), pair(l, "kernel", 2), pair(l, "stride", l["kernel"]), pair(l, "padding", 0),
                     l.get("ceil-mode", False), not l.get("exclude-padding", False))
    return s.noise(last(y), 1)


def global_avg_pool(l: Layer, x: Tensor, s: State) -> Tensor:
    return s.noise(x.mean((1, 2)), x.shape[1] * x.shape[2])


def global_max_pool(l: Layer, x: Tensor, s: State) -> Tensor:
    return last(F.max_pool2d(first(x), x.shape[1:3])).flatten(1)


def batch_norm(l: Layer, x: Tensor, s: State) -> Tensor:
    gamma, beta = s.param(), s.param()
    mean, var = next(s.statistics), next(s.statistics)
    epsilon = float32(l.get("epsilon", 1e-5))
    y = last(F.batch_norm(first(x), mean, var, gamma, beta, s.training, float32(l.get("momentum", 0.1)), epsilon))
    return s.normalised(y, x, list(range(x.ndim - 1)), epsilon, gamma, beta)


def layer_norm(l: Layer, x: Tensor, s: State) -> Tensor:
    gamma, beta, epsilon = s.param(), s.param(), float32(l.get("epsilon", 1e-5))
    return s.normalised(F.layer_norm(x, x.shape[-1:], gamma, beta, epsilon), x, [x.ndim - 1], epsilon, gamma, beta)


def group_norm(l: Layer, x: Tensor, s: State) -> Tensor:
    gamma, beta, epsilon, groups = s.param(), s.param(), float32(l.get("epsilon", 1e-5)), l.get("groups", 32)
    y = last(F.group_norm(first(x), groups, gamma, beta, epsilon))
    split = lambda t: t.reshape(*t.shape[:-1], groups, -1)  # noqa: E731: the channels of each group
    dims = [*range(1, x.ndim - 1), x.ndim]
    return s.normalised(split(y), split(x), dims, epsilon, split(gamma), split(beta)).reshape(x.shape)


def prelu(l: Layer, x: Tensor, s: State) -> Tensor:
    return s.noise(last(F.prelu(first(x), s.param())), 1)


def up_sample(l: Layer, x: Tensor, s: State) -> Tensor:
    return last(F.interpolate(first(x), scale_factor=pair(l, "factor", 2), mode="nearest"))


def channel_scale(l: Layer, x: Tensor, s: State) -> Tensor:
    w1, b1, w2, b2 = s.param(), s.param(), s.param(), s.param()
    hidden = F.relu(s.noise(s.noise(x.mean((1, 2)), x.shape[1] * x.shape[2]) @ w1 + b1, w1.shape[0] + 1))
    factor = torch.sigmoid(s.noise(hidden @ w2 + b2, w2.shape[0] + 1))
    return s.noise(x * s.noise(factor, 36)[:, None, None], 1)


def residual(l: Layer, x: Tensor, s: State) -> Tensor:
    body = chain(l["body"], x, s)
    return s.noise(body + (chain(l["shortcut"], x, s) if "shortcut" in l else x), 1)


def concat(l: Layer, x: Tensor, s: State) -> Tensor:
    return torch.cat([chain(branch, x, s) for branch in l["branches"]], -1)


FUNCTIONS: dict[str, Callable[[Layer, Tensor], Tensor]] = {
    "relu": lambda l, x: F.relu(x),
    "leaky-relu": lambda l, x: F.leaky_relu(x, float32(l.get("slope", 0.01))),
    "gelu": lambda l, x: F.gelu(x, approximate="tanh" if l.get("tanh") else "none"),
    "sigmoid": lambda l, x: torch.sigmoid(x),
    "tanh": lambda l, x: torch.tanh(x),
    "silu": lambda l, x: F.silu(x),
    "hard-swish": lambda l, x: F.hardswish(x),
    "elu": lambda l, x: F.elu(x, float32(l.get("alpha", 1.0))),
    "softplus": lambda l, x: F.softplus(x, threshold=1000.0),  # PyTorch's default, 20, is a line from there on
    "mish": lambda l, x: F.mish(x),
}

LAYERS: dict[str, Callable[[Layer, Tensor, State], Tensor]] = {
    "conv2d": conv2d, "conv2d-transpose": conv2d_transpose, "dense": dense, "max-pool2d": max_pool, "avg-pool2d": avg_pool, "global-avg-pool": global_avg_pool, "global-max-pool": global_max_pool,
    "batch-norm": batch_norm, "layer-norm": layer_norm, "group-norm": group_norm, "prelu": prelu, "up-sample": up_sample,
    "channel-scale": channel_scale, "residual": residual, "concat": concat,
    "flatten": lambda l, x, s: x.reshape(x.shape[0], -1),
    "dropout": lambda l, x, s: x,  # of rate 0
    "scale": lambda l, x, s: s.noise(x * float32(l["by"]), 1),
    **{kind: lambda l, x, s, f=f: s.noise(f(l, x), 36) for kind, f in FUNCTIONS.items()},
}


def chain(layers: list[Layer], x: Tensor, s: State) -> Tensor:
    for layer in layers:
        x = LAYERS[layer["layer"]](layer, x, s)
    return x


def run(layers: list[Layer], x: Tensor, params: dict[str, Tensor], training: bool = True, noise: Noise = exact) -> Tensor:
    """The output. In training, the running statistics in params are updated in place."""
    return chain(layers, x, State(params, training, noise))
