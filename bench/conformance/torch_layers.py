"""Random layers, forward and backward, against PyTorch in float64."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

import bounds
import oracle
from bounds import ELEMENTWISE, Want, sum_ulps, want
from client import recipe
from oracle import FUNCTIONS, Layer, Tensor
from report import Recorder

Arrays = dict[str, np.ndarray]


def tensor(a: np.ndarray) -> Tensor:
    """A float64 tensor of the float32 numbers that the worker gets."""
    return torch.tensor(np.asarray(a, np.float32).astype(np.float64))


class Random:
    """Choices and float32 numbers from one seed."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)

    def pick(self, *choices: Any) -> Any:
        return choices[self.rng.integers(len(choices))]

    def normal(self, *shape: int, scale: float = 1.0, shift: float = 0.0) -> np.ndarray:
        return (self.rng.standard_normal(shape) * scale + shift).astype(np.float32)

    def chance(self, p: float) -> bool:
        return bool(self.rng.random() < p)


def known(recorder: Recorder, layer: Layer) -> Layer:
    """The layer without the settings that recipes of this version lack."""
    kept = {k: v for k, v in layer.items() if k == "layer" or recorder.any.has_key("layers", layer["layer"], k)}
    if len(kept.get("padding", [])) == 4 and not recorder.any.has_key("layers", "max-pool2d", "ceil-mode"):
        kept["padding"] = kept["padding"][:2]  # sides with padding of their own came with ceil-mode
    return kept


class LayerCase:
    """A chain of layers with operands, whose parameters' names and shapes come from the worker."""

    def __init__(self, recorder: Recorder, random: Random, layers: list[Layer], x: np.ndarray, training: bool = True) -> None:
        self.recorder, self.layers, self.training = recorder, layers, training
        self.x = x
        built = recorder.any.ask("network", self.args(inference=True), x=x)
        self.values = {
            name.removeprefix("value:"): self.initial(random, name, v) for name, v in built.arrays.items() if name.startswith("value:")
        }
        self.dy = random.normal(*built["y"].shape)

    def initial(self, random: Random, name: str, v: np.ndarray) -> np.ndarray:
        if name.endswith("running_var"):
            return np.abs(random.normal(*v.shape)) + np.float32(0.1)
        return random.normal(*v.shape)

    def args(self, inference: bool | None = None, batch: int = 0) -> dict[str, Any]:
        return {"recipe": recipe(self.layers), "inference": not self.training if inference is None else inference, "batch": batch}

    def exact(self, x: Tensor, params: dict[str, Tensor], dy: Tensor | None, noise: oracle.Noise = oracle.exact) -> dict[str, Tensor]:
        """y and, with dy, the gradients by automatic differentiation."""
        x = x.detach().requires_grad_(dy is not None)
        params = {k: v.detach().clone().requires_grad_(dy is not None and "running_" not in k) for k, v in params.items()}
        y = oracle.run(self.layers, x, params, self.training, noise)
        results = {"y": y.detach()}
        if dy is not None:
            y.backward(dy)
            results["dx"] = x.grad
            results.update({"grad:" + k: v.grad for k, v in params.items() if v.grad is not None})
        results.update({"value:" + k: v.detach() for k, v in params.items() if "running_" in k})
        return results

    def tensors(self) -> tuple[Tensor, dict[str, Tensor], Tensor]:
        return tensor(self.x), {k: tensor(v) for k, v in self.values.items()}, tensor(self.dy)

    def check(self, name: str, wants: dict[str, Want], batch: int = 0) -> None:
        """Runs the case in all workers."""
        arrays = {"x": self.x, **{"value:" + k: v for k, v in self.values.items()}}
        if self.training:
            arrays["dy"] = self.dy
        self.recorder.check(name, {"layers": self.layers, "x": list(self.x.shape)}, "network", self.args(batch=batch), arrays, wants)

    def linear(self, ulps: dict[str, float], tiles: bool = False) -> dict[str, Want]:
        """Wants of a layer that is linear in x and in its parameters: with absolute values of all operands, results are
        the magnitudes."""
        x, params, dy = self.tensors()
        exact = self.exact(x, params, dy)
        sizes = self.exact(x.abs(), {k: v.abs() for k, v in params.items()}, dy.abs())
        if tiles:
            sizes["y"], sizes["dx"] = bounds.over_tiles(sizes["y"]), bounds.over_tiles(sizes["dx"])
            sizes["grad:conv1.weight"] = bounds.over_taps(sizes["grad:conv1.weight"])
        return {k: want(v, sizes[k], ulps[k.rpartition(".")[2]]) for k, v in exact.items()}

    def composed(self, seed: int) -> dict[str, Want]:
        """Wants of several layers: see bounds.sensitivity."""
        x, params, dy = self.tensors()

        def results(noise: Any) -> dict[str, Tensor]:
            noisy = {k: v if "running_" in k else noise(v, 1) for k, v in params.items()}
            return self.exact(noise(x, 1), noisy, dy if self.training else None, noise)

        return bounds.sensitivity(results, seed)


# ------------------------------------------------------------------------------------------------------ convolutions


def random_conv(r: Random) -> tuple[Layer, tuple[int, ...]] | None:
    """A convolution and the shape of its input; None if the numbers drawn don't fit together or are large."""
    n, h, w = r.pick(1, 1, 2, 3, 7), r.pick(1, 2, 3, 5, 8, 11, 14, 17, 28), r.pick(1, 2, 3, 5, 8, 11, 14, 17, 28)
    kh = r.pick(1, 2, 3, 3, 4, 5, 7)
    kw = kh if r.chance(0.6) else r.pick(1, 2, 3, 4, 5, 7)
    sh, sw, dh, dw = r.pick(1, 1, 1, 2, 3, 4), r.pick(1, 1, 2, 3), r.pick(1, 1, 1, 2, 3), r.pick(1, 1, 2)
    ph, pw = int(r.rng.integers(0, dh * (kh - 1) + 2)), int(r.rng.integers(0, dw * (kw - 1) + 2))
    channels = (1, 3, 5, 16, 17, 32, 33, 65)
    groups, inc, outc = r.pick(
        (1, r.pick(*channels), r.pick(*channels)), (1, r.pick(*channels), r.pick(*channels)), depthwise(r), grouped(r)
    )
    layer = {"layer": "conv2d", "out": outc, "kernel": [kh, kw], "stride": [sh, sw], "padding": [ph, pw],
             "dilation": [dh, dw], "groups": groups, "bias": r.chance(0.6)}
    rows, columns = (h + 2 * ph - dh * (kh - 1) - 1) // sh + 1, (w + 2 * pw - dw * (kw - 1) - 1) // sw + 1
    if r.chance(0.2):
        layer["padding"] = [ph, pw, ph + r.pick(0, 1), pw + r.pick(0, 1)]
    if rows < 1 or columns < 1 or n * rows * columns * outc * kh * kw * inc // groups > 4e6:
        return None
    return layer, (n, h, w, inc)


def depthwise(r: Random) -> tuple[int, int, int]:
    channels = r.pick(1, 3, 16, 17, 33, 65)
    return channels, channels, channels * r.pick(1, 1, 2, 3)


def grouped(r: Random) -> tuple[int, int, int]:
    groups = r.pick(2, 3, 4)
    return groups, groups * r.pick(1, 3, 5, 16, 17), groups * r.pick(1, 2, 5, 8, 16)


def random_winograd(r: Random) -> tuple[Layer, tuple[int, ...]] | None:
    """A convolution that Winograd's method may compute."""
    k, n = r.pick(3, 3, 5), r.pick(1, 2, 3, 8)
    h, w = r.pick(6, 7, 8, 11, 14, 16, 23), r.pick(6, 8, 9, 13, 16, 29)
    inc, outc = r.pick(16, 17, 24, 32, 33, 64, 65, 96), r.pick(16, 17, 31, 32, 33, 64, 70)
    padding = [r.pick(0, 1, 2, k - 1), r.pick(0, 1, 2, k - 1)]
    if n * h * w * inc * outc * k * k > 4e7:
        return None
    return {"layer": "conv2d", "out": outc, "kernel": [k, k], "padding": padding, "bias": r.chance(0.5)}, (n, h, w, inc)


def draw(r: Random, f: Any) -> Any:
    """The first drawing that fits."""
    while True:
        drawn = f(r)
        if drawn is not None:
            return drawn


def conv_ulps(layer: Layer, shape: tuple[int, ...], y: tuple[int, ...]) -> dict[str, float]:
    kh, kw = layer["kernel"]
    groups = layer.get("groups", 1)
    pixels = y[0] * y[1] * y[2]
    return {"y": sum_ulps(kh * kw * shape[3] // groups + 1), "dx": sum_ulps(kh * kw * layer["out"] // groups),
            "weight": sum_ulps(pixels), "bias": sum_ulps(pixels)}


def conv(recorder: Recorder, r: Random) -> None:
    layer, shape = draw(r, random_conv)
    layer = known(recorder, layer)
    case = LayerCase(recorder, r, [layer], r.normal(*shape))
    name = "conv2d" if layer["groups"] == 1 else "conv2d, depthwise" if layer["groups"] == shape[3] else "conv2d, groups"
    tiles = layer["stride"] == [1, 1] and layer["kernel"] in ([3, 3], [5, 5]) and shape[3] >= 16
    case.check(name, case.linear(conv_ulps(layer, shape, case.dy.shape), tiles), batch=shape[0] + r.pick(0, 0, 3))


def conv_transpose(recorder: Recorder, r: Random) -> None:
    """Its forward pass is a convolution's data gradient, so the numbers of terms are exchanged."""
    if not recorder.any.has_key("layers", "conv2d-transpose"):
        return
    groups = r.pick(1, 1, 2)
    inc, outc = groups * r.pick(1, 3, 8, 17), groups * r.pick(1, 4, 9)
    kernel = [r.pick(1, 2, 3, 4), r.pick(1, 2, 3, 5)]
    stride, dilation = [r.pick(1, 2, 3), r.pick(1, 2)], [r.pick(1, 1, 2), r.pick(1, 1, 2)]
    more = [int(r.rng.integers(max(stride[i], dilation[i]))) for i in range(2)]
    padding = [r.pick(0, 0, min(1, kernel[i] - 1)) for i in range(2)]
    layer: Layer = {"layer": "conv2d-transpose", "out": outc, "kernel": kernel, "stride": stride, "dilation": dilation, "padding": padding,
                    "output-padding": more, "groups": groups, "bias": r.chance(0.6)}
    shape = r.pick(1, 2, 5), r.pick(2, 5, 8), r.pick(3, 7, 11), inc
    case = LayerCase(recorder, r, [layer], r.normal(*shape))
    taps = kernel[0] * kernel[1]
    pixels = math.prod(case.dy.shape[:3])
    ulps = {"y": sum_ulps(taps * inc // groups + 1), "dx": sum_ulps(taps * outc // groups), "weight": sum_ulps(math.prod(shape[:3])), "bias": sum_ulps(pixels)}
    case.check("conv2d-transpose", case.linear(ulps))


def winograd(recorder: Recorder, r: Random) -> None:
    layer, shape = draw(r, random_winograd)
    case = LayerCase(recorder, r, [layer], r.normal(*shape))
    case.check("conv2d, Winograd's sizes", case.linear(conv_ulps(layer, shape, case.dy.shape), True), batch=shape[0] + r.pick(0, 0, 3))


def fused(recorder: Recorder, r: Random) -> None:
    """A convolution with what the CPU fuses with it. dy is 0 where rounding could decide which way the gradient goes: next to
    the bend of ReLU, and where the two largest elements of a window are close."""
    layer, shape = draw(r, random_conv) if r.chance(0.6) else draw(r, random_winograd)
    layer = known(recorder, layer)
    tail: list[Layer] = r.pick(
        [{"layer": "relu"}], [{"layer": "max-pool2d", "kernel": [2, 2]}], [{"layer": "max-pool2d", "kernel": [2, 2]}, {"layer": "relu"}],
        [{"layer": "relu"}, {"layer": "max-pool2d", "kernel": [2, 2]}], [{"layer": "max-pool2d", "kernel": [3, 3], "stride": [2, 2]}],
    )
    conv_only = LayerCase(recorder, r, [layer], r.normal(*shape))
    if min(conv_only.dy.shape[1:3]) < 3:
        return fused(recorder, r)
    case = LayerCase(recorder, r, [layer, *tail], conv_only.x)
    x, params, _ = case.tensors()
    z = oracle.run([layer], x, dict(params)).detach()
    margin = 1e-4 * float(z.abs().max())
    clear = clear_windows(z, tail, margin) if any("kernel" in l for l in tail) else z.abs() > margin
    case.dy = case.dy * clear.numpy().astype(np.float32)
    case.check("conv2d with ReLU or max pooling", case.composed(1))
    return None


def clear_windows(z: Tensor, tail: list[Layer], margin: float) -> Tensor:
    """Whether the largest element of each window is well above the second and away from 0."""
    pool = next(l for l in tail if "kernel" in l)
    k, s = pool["kernel"], pool.get("stride", pool["kernel"])
    windows = z.permute(0, 3, 1, 2).unfold(2, k[0], s[0]).unfold(3, k[1], s[1]).flatten(-2)
    top = torch.topk(windows, 2, -1).values
    return ((top[..., 0] - top[..., 1] > margin) & (top[..., 0].abs() > margin)).permute(0, 2, 3, 1)


# ---------------------------------------------------------------------------------------------------- pooling, dense


def pool(recorder: Recorder, r: Random) -> None:
    kind = r.pick("max-pool2d", "avg-pool2d")
    kernel = [r.pick(1, 2, 2, 3, 5), r.pick(1, 2, 2, 3, 4)]
    padding = [r.pick(0, 0, kernel[0] // 2), r.pick(0, 0, kernel[1] // 2)]
    shape = r.pick(1, 2, 5), kernel[0] + r.pick(0, 1, 4, 9), kernel[1] + r.pick(0, 1, 4, 9, 20), r.pick(1, 3, 8, 17, 33)
    layer: Layer = {"layer": kind, "kernel": kernel, "stride": [r.pick(1, 2, 3), r.pick(1, 2, 3)], "padding": padding}
    if r.chance(0.3):
        layer["ceil-mode"] = True
    if kind == "avg-pool2d" and r.chance(0.3):
        layer["exclude-padding"] = True
    if kind == "max-pool2d" and r.chance(0.3):
        layer["dilation"] = [1 + (shape[1] >= 2 * kernel[0]), 1 + (shape[2] >= 2 * kernel[1])]
    if kind == "max-pool2d" and r.chance(0.2):
        layer["padding"] = [*padding, max(0, padding[0] - 1), padding[1]]
    layer = known(recorder, layer)
    case = LayerCase(recorder, r, [layer], r.normal(*shape))
    terms = sum_ulps(kernel[0] * kernel[1])
    if kind == "avg-pool2d":
        case.check(kind, case.linear({"y": terms, "dx": terms}))
        return
    x, params, dy = case.tensors()
    exact, sizes = case.exact(x, params, dy), case.exact(x, params, dy.abs())
    case.check(kind, {"y": want(exact["y"], None, 0), "dx": want(exact["dx"], sizes["dx"], terms)})


def simple_linear(recorder: Recorder, r: Random) -> None:
    """Layers that add pixels, repeat them or multiply them by a number."""
    n, h, w, c = r.pick(1, 2, 5), r.pick(1, 2, 7, 14), r.pick(1, 3, 8), r.pick(1, 3, 17, 64)
    factor = r.pick(1, 2, 3)
    layer = r.pick({"layer": "global-avg-pool"}, {"layer": "up-sample", "factor": factor}, {"layer": "scale", "by": r.pick(0.5, -3.0, 0.1)},
                   {"layer": "flatten"}, {"layer": "dropout", "rate": 0.0})
    case = LayerCase(recorder, r, [layer], r.normal(n, h, w, c))
    case.check(layer["layer"], case.linear({"y": sum_ulps(h * w), "dx": sum_ulps(factor**2)}))


def dense(recorder: Recorder, r: Random) -> None:
    n, inputs, out = r.pick(1, 2, 7, 33, 130), r.pick(1, 3, 17, 65, 300, 1153), r.pick(1, 2, 5, 10, 17, 33, 129, 257)
    case = LayerCase(recorder, r, [{"layer": "dense", "out": out, "bias": r.chance(0.7)}], r.normal(n, inputs))
    ulps = {"y": sum_ulps(inputs + 1), "dx": sum_ulps(out), "weight": sum_ulps(n), "bias": sum_ulps(n)}
    case.check("dense", case.linear(ulps), batch=n + r.pick(0, 0, 5))


# ----------------------------------------------------------------------------------------------------- normalisation


def batch_norm(recorder: Recorder, r: Random) -> None:
    c = r.pick(1, 3, 5, 17, 33, 65, 130)
    shape = r.pick((2,), (7,), (64,), (1, 3, 5), (2, 4, 2), (4, 7, 7), (3, 16, 17))
    layer: Layer = {"layer": "batch-norm", "epsilon": r.pick(1e-5, 1e-5, 1e-3, 1e-12), "momentum": r.pick(0.1, 0.4, 1.0)}
    training = r.chance(0.7)
    x = r.normal(*shape, c, scale=r.pick(1, 1, 1e-3, 100), shift=r.pick(0, 0, 10))
    case = LayerCase(recorder, r, [layer], x, training)
    if training:
        case.check("batch-norm, training", batch_norm_wants(case, layer))
    else:
        case.check("batch-norm, inference", {"y": inference_want(case, layer)})


def batch_norm_wants(case: LayerCase, layer: Layer) -> dict[str, Want]:
    x, params, dy = case.tensors()
    exact = case.exact(x, params, dy)
    c = x.shape[-1]
    columns = lambda t: t.reshape(-1, c).T  # noqa: E731: one row per channel
    gamma, beta = params["norm1.weight"][:, None], params["norm1.bias"][:, None]
    n = bounds.Normalised(columns(x), gamma, beta, columns(dy), oracle.float32(layer["epsilon"]))
    shaped = lambda t: t.T.reshape(x.shape)  # noqa: E731
    rows, m = x.numel() // c, oracle.float32(layer["momentum"])
    unbiased = rows / max(rows - 1, 1)
    sizes = {
        "y": (shaped(n.y()), n.y_ulps), "dx": (shaped(n.dx()), n.dx_ulps),
        "grad:norm1.weight": ((columns(dy).abs() * n.xhat_size).sum(1), 2 * sum_ulps(rows)),
        "grad:norm1.bias": (columns(dy).abs().sum(1), sum_ulps(rows)),
        "value:norm1.running_mean": (params["norm1.running_mean"].abs() + m * n.mean_size[:, 0], sum_ulps(rows)),
        "value:norm1.running_var": (params["norm1.running_var"] + m * unbiased * n.var_size[:, 0], sum_ulps(rows)),
    }
    return {k: want(exact[k], size, ulps) for k, (size, ulps) in sizes.items()}


def inference_want(case: LayerCase, layer: Layer) -> Want:
    x, p, _ = case.tensors()
    y = case.exact(x, p, None)["y"]
    inverse = 1 / torch.sqrt(p["norm1.running_var"] + oracle.float32(layer["epsilon"]))
    scale = (p["norm1.weight"] * inverse).abs()
    centred = (x - p["norm1.running_mean"]).abs()
    size = scale * (x.abs() + p["norm1.running_mean"].abs()) + 1.5 * scale * centred + p["norm1.bias"].abs()
    return want(y, size, 2 * ELEMENTWISE)


def row_norm(recorder: Recorder, r: Random) -> None:
    """Layer and group normalisation, which normalise parts of each image."""
    groups = r.pick(1, 1, 2, 4)
    c = groups * r.pick(2, 3, 8, 17, 32)
    shape = r.pick((2,), (5,), (1, 3, 5), (2, 4, 2), (3, 7, 7))
    x = r.normal(*shape, c, scale=r.pick(1, 1, 1e-2, 100), shift=r.pick(0, 0, 3))
    epsilon = r.pick(1e-5, 1e-3)
    if r.chance(0.5):
        layer: Layer = {"layer": "layer-norm", "epsilon": epsilon}
        split = lambda t: t.reshape(-1, c)  # noqa: E731
        join = lambda t: t.reshape(x.shape)  # noqa: E731
    else:
        layer = {"layer": "group-norm", "groups": groups, "epsilon": epsilon}
        n, each = shape[0], c // groups
        pixels = math.prod(shape[1:])
        split = lambda t: t.reshape(n, pixels, groups, each).transpose(1, 2).reshape(n * groups, -1)  # noqa: E731
        join = lambda t: t.reshape(n, groups, pixels, each).transpose(1, 2).reshape(x.shape)  # noqa: E731
    case = LayerCase(recorder, r, [layer], x)
    x64, params, dy = case.tensors()
    exact = case.exact(x64, params, dy)
    gamma, beta = (params[k].expand(x.shape) for k in ("norm1.weight", "norm1.bias"))
    b = bounds.Normalised(split(x64), split(gamma), split(beta), split(dy), oracle.float32(epsilon))
    rows = x.size // c
    products = (dy.abs() * join(b.xhat_size)).reshape(-1, c).sum(0)
    case.check(layer["layer"], {
        "y": want(exact["y"], join(b.y()), b.y_ulps), "dx": want(exact["dx"], join(b.dx()), b.dx_ulps),
        "grad:norm1.weight": want(exact["grad:norm1.weight"], products, sum_ulps(rows) + b.mean_ulps),
        "grad:norm1.bias": want(exact["grad:norm1.bias"], dy.abs().reshape(-1, c).sum(0), sum_ulps(rows)),
    })


# --------------------------------------------------------------------------------------------- functions of elements


def activation(recorder: Recorder, r: Random) -> None:
    kind = r.pick(*FUNCTIONS)
    layer: Layer = {"layer": kind}
    if kind == "gelu":
        layer["tanh"] = r.chance(0.5)
    if kind == "leaky-relu":
        layer["slope"] = r.pick(0.01, 0.2)
    if kind == "elu":
        layer["alpha"] = r.pick(1.0, 0.5, 1.7)
    x = r.normal(r.pick(1, 3, 65), r.pick(1, 7, 130, 1031), scale=r.pick(1, 1e-4, 5, 20))
    case = LayerCase(recorder, r, [layer], x[np.abs(x) > 1e-30].reshape(1, -1) if kind != "hard-swish" else away_from(x, 3.0))
    y, dx = bounds.function(layer, *(tensor(a) for a in (case.x, case.dy)))
    case.check(kind, {"y": y, "dx": dx})


def away_from(x: np.ndarray, bend: float) -> np.ndarray:
    """The elements whose function is smooth within the step of bounds.function."""
    return x[np.abs(np.abs(x) - bend) > bend / 256].reshape(1, -1)


def prelu(recorder: Recorder, r: Random) -> None:
    n, h, w, c = r.pick(1, 3, 7), r.pick(1, 5, 9), r.pick(1, 4), r.pick(1, 3, 17, 33)
    layer: Layer = {"layer": "prelu", "shared": r.chance(0.3)}
    case = LayerCase(recorder, r, [layer], r.normal(n, h, w, c))
    x, params, dy = case.tensors()
    exact = case.exact(x, params, dy)
    sizes = (dy * x).abs() * (x < 0)
    slope = sizes.sum() if layer["shared"] else sizes.reshape(-1, c).sum(0)
    case.check("prelu", {
        "y": want(exact["y"], None, ELEMENTWISE), "dx": want(exact["dx"], None, ELEMENTWISE),
        "grad:prelu1.weight": want(exact["grad:prelu1.weight"], slope, sum_ulps(x.numel())),
    })


# ------------------------------------------------------------------------------------------------- layers of layers


def channel_scale(recorder: Recorder, r: Random) -> None:
    c, reduction = r.pick((4, 2), (8, 4), (16, 16), (33, 4))
    x = r.normal(r.pick(1, 2, 5), r.pick(2, 5), r.pick(3, 7), c, shift=0.5)
    case = LayerCase(recorder, r, [{"layer": "channel-scale", "reduction": reduction}], x)
    keep_biases_clear(case)
    case.check("channel-scale", case.composed(2))


def keep_biases_clear(case: LayerCase) -> None:
    """Moves the inputs of the small network's ReLU away from its bend, so that rounding can't decide."""
    x, p, _ = case.tensors()
    names = list(p)
    hidden = x.mean((1, 2)) @ p[names[0]] + p[names[1]]
    close = (hidden.abs() < 1e-3).any(0).numpy()
    case.values[names[1]] = case.values[names[1]] + close.astype(np.float32) * np.float32(0.5)


SMOOTH = ("gelu", "sigmoid", "tanh", "silu", "softplus", "mish")


def smooth_block(r: Random, out: int) -> list[Layer]:
    """Layers that keep an image's size and end with a number of channels."""
    layers: list[Layer] = [{"layer": "conv2d", "out": out, "kernel": r.pick(1, 3), "padding": "same"}]
    if r.chance(0.5):
        layers.append(r.pick({"layer": "batch-norm"}, {"layer": "layer-norm"}, {"layer": "group-norm", "groups": 1}))
    return layers + [{"layer": r.pick(*SMOOTH)}]


def same(layers: list[Layer]) -> list[Layer]:
    """The layers with their padding in numbers, as PyTorch needs it for gradients in all cases."""
    return [{**l, "padding": l["kernel"] // 2} if l.get("padding") == "same" else l for l in layers]


def joined(recorder: Recorder, r: Random) -> None:
    """Residual connections and branches side by side."""
    c = r.pick(2, 5, 8)
    x = r.normal(r.pick(2, 3), r.pick(4, 6), r.pick(4, 5), c)
    if r.chance(0.5):
        out = r.pick(c, c + 3)
        layer: Layer = {"layer": "residual", "body": same(smooth_block(r, out) + smooth_block(r, out))}
        if out != c or r.chance(0.3):
            layer["shortcut"] = [{"layer": "conv2d", "out": out, "kernel": 1, "bias": False}]
    else:
        layer = {"layer": "concat", "branches": [same(smooth_block(r, r.pick(1, 3, 6))), [], same(smooth_block(r, 4))]}
    case = LayerCase(recorder, r, [layer], x)
    case.check(layer["layer"], case.composed(3))


COUNTS = [
    (conv, 420), (conv_transpose, 120), (winograd, 100), (fused, 100), (pool, 240), (simple_linear, 150), (dense, 150), (batch_norm, 180), (row_norm, 160),
    (activation, 300), (prelu, 60), (channel_scale, 40), (joined, 100),
]


def run(recorder: Recorder, seed: int, share: float) -> None:
    """Runs a share of the cases."""
    for i, (f, count) in enumerate(COUNTS):
        r = Random(seed * 1000 + i)
        for _ in range(max(1, round(count * share))):
            f(recorder, r)
