"""How far a result in float32 may be from the exact one.

The bounds are those of nn/device/reference, which explains them: a result of terms whose absolute values add up to a
magnitude may be off by so many ulps of it,

    |got - want| <= 2^-120 + ulps 2^-23 magnitude

with 2 + sqrt(k) ulps for a sum of k terms, 4 for a few elementary operations and 8 for a function.

A network of several layers has no such formula. Its bound is the largest effect, in several trials, of errors that its
layers may make: each operand, each layer's result and the gradient with respect to it are multiplied by 1 + d, where d is a
random number within the bound of the layer's sum. The largest change of any element of a tensor, times SAFETY, is the bound
of all its elements.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

import oracle
from oracle import FUNCTIONS, Layer, Tensor

ULP = 2.0**-23
UNDERFLOW = 2.0**-120
ELEMENTWISE, FUNCTION = 4.0, 8.0
TRIALS, SAFETY = 6, 4.0
TILE = 4  # side of the largest tile of Winograd's method, see cpu/conformance_test.go


def sum_ulps(k: float) -> float:
    """reference.SumUlps."""
    return 2 + math.sqrt(k)


@dataclass
class Want:
    """An exact result with the magnitude of its terms."""

    value: np.ndarray
    magnitude: np.ndarray
    ulps: float
    oracle: np.ndarray | float = 0.0  # how far value itself may be off, where PyTorch's formula cancels

    def error(self, got: np.ndarray) -> float:
        """The largest error in units of the bound. NaN and infinity are right where they are wanted."""
        if got.shape != self.value.shape:
            return math.inf
        with np.errstate(invalid="ignore"):
            off = np.abs(got.astype(np.float64) - self.value) / (UNDERFLOW + self.oracle + self.ulps * ULP * self.magnitude)
        same = (got == self.value) | (np.isnan(got) & np.isnan(self.value))
        return float(np.where(same, 0, np.nan_to_num(off, nan=math.inf)).max(initial=0))


def want(value: Tensor, magnitude: Tensor | None, ulps: float) -> Want:
    """A Want of tensors; the magnitude is that of the value if it is None."""
    v = value.detach().numpy()
    return Want(v, np.abs(v) if magnitude is None else magnitude.detach().expand(value.shape).numpy(), ulps)


def over_tiles(magnitude: Tensor) -> Tensor:
    """The largest magnitude of any tile of Winograd's method that can contain the pixel, of [n, h, w, c]."""
    reach = 2 * TILE - 1
    return F.max_pool2d(magnitude.permute(0, 3, 1, 2), reach, 1, TILE - 1).permute(0, 2, 3, 1)


def over_taps(magnitude: Tensor) -> Tensor:
    """The same for the gradient of filters [o, a, b, c]: there the tile is the filter of a channel."""
    return magnitude.amax((1, 2), keepdim=True).expand(magnitude.shape)


# ------------------------------------------------------------------------------------------------------- functions

STEP = 2.0**-10  # relative step of differences, see reference/activation.go
SMALLEST = 2.0**-126 / (FUNCTION * ULP)


def function(layer: Layer, x: Tensor, dy: Tensor) -> tuple[Want, Want]:
    """y and dx of an elementwise function, with the magnitudes of reference/activation.go."""
    f = FUNCTIONS[layer["layer"]]

    def slope(v: Tensor) -> Tensor:
        v = v.detach().requires_grad_()
        return torch.autograd.grad(f(layer, v).sum(), v)[0]

    y, here, above, below = f(layer, x), slope(x), slope(x * (1 + STEP)), slope(x * (1 - STEP))
    first = (above - below) / (2 * STEP)
    second = (above - 2 * here + below) / STEP**2
    size = here.abs() + first.abs() + second.abs() / (1 + x * x) / 2
    size = size + torch.where(here == 0, torch.zeros_like(x), (first / here).abs()) * SMALLEST
    dx = want(dy * here, dy.abs() * size, FUNCTION)
    # PyTorch computes slopes such as y(1-y), which are off by some 2^-53 where y is close to 1.
    dx.oracle = (dy.abs() * (1 + x.abs()) * 2.0**-50).numpy()
    value = want(y, torch.maximum(y.abs(), (x * here).abs()), FUNCTION)
    if layer["layer"] == "gelu":  # x/2 (1 + erf(x/sqrt(2))): the same far below 0
        value.oracle = (x.abs() * 2.0**-52).numpy()
    return value, dx


# --------------------------------------------------------------------------------------------------- normalisation


@dataclass
class Normalised:
    """Magnitudes of the normalisation of x [groups, m] over m: those of reference/batchnorm.go."""

    x: Tensor
    gamma: Tensor  # [groups, m], or what expands to it
    beta: Tensor
    dy: Tensor
    epsilon: float

    def __post_init__(self) -> None:
        self.m = self.x.shape[1]
        self.mean_ulps = sum_ulps(self.m)
        self.mean_size = self.x.abs().mean(1, keepdim=True)
        self.centred = self.x - self.x.mean(1, keepdim=True)
        var = (self.centred**2).mean(1, keepdim=True)
        size = (self.centred**2 + 2 * self.centred.abs() * ULP * self.mean_size).mean(1, keepdim=True)
        size = size + self.mean_size**2 * ULP * self.mean_ulps
        self.inverse = 1 / torch.sqrt(var + self.epsilon)
        self.spread = 1 + size / (var + self.epsilon) / 2
        self.var, self.var_size = var, size

    @property
    def xhat_size(self) -> Tensor:
        return self.inverse * (self.x.abs() + self.mean_size) + self.spread * (self.inverse * self.centred).abs()

    def y(self) -> Tensor:
        return self.gamma.abs() * self.xhat_size + self.beta.abs()

    def dx(self) -> Tensor:
        g = self.gamma * self.dy
        xhat = self.inverse * self.centred
        products = (g.abs() * self.xhat_size).mean(1, keepdim=True)
        inner = g.abs() + g.abs().mean(1, keepdim=True) + xhat.abs() * products + self.xhat_size * (g * xhat).mean(1, keepdim=True).abs()
        return self.inverse * self.spread * inner

    @property
    def y_ulps(self) -> float:
        return self.mean_ulps + ELEMENTWISE

    @property
    def dx_ulps(self) -> float:
        return 2 * self.mean_ulps


# -------------------------------------------------------------------------------------------------------- networks


class Noise(torch.autograd.Function):
    """t * (1 + forward); in the backward pass the gradient is multiplied by 1 + backward as well."""

    @staticmethod
    def forward(ctx: Any, t: Tensor, forward: Tensor, backward: Tensor) -> Tensor:
        ctx.save_for_backward((1 + forward) * (1 + backward))
        return t * (1 + forward)

    @staticmethod
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor, None, None]:
        return dy * ctx.saved_tensors[0], None, None


def sensitivity(results: Callable[[Callable[[Tensor, int], Tensor]], dict[str, Tensor]], seed: int) -> dict[str, Want]:
    """The exact results, and bounds from trials. results computes them with a noise that it applies to operands and to the
    results of layers."""
    exact = results(oracle.exact)
    generator = torch.Generator().manual_seed(seed)
    changes = {name: 0.0 for name in exact}

    def noise(t: Tensor, terms: int) -> Tensor:
        forward, backward = (torch.rand(2, *t.shape, generator=generator, dtype=t.dtype) * 2 - 1) * sum_ulps(terms) * ULP
        return Noise.apply(t, forward, backward)

    for _ in range(TRIALS):
        for name, t in results(noise).items():
            changes[name] = max(changes[name], float((t - exact[name]).abs().max()) if t.numel() else 0.0)
    bounds = {}
    for name, t in exact.items():
        least = float(t.abs().max()) * ULP if t.numel() else 0.0
        bounds[name] = want(t, torch.full_like(t, max(changes[name] * SAFETY, least) / ULP), 1.0)
    return bounds
