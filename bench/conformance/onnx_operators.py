"""ONNX's operators as this project's layers, losses, rules and plans.

A function gets the attributes and the operands of a node, in ONNX's layout, and returns its outputs. It decides which layer or
plan the operator is, moves channels to the end and back, and computes nothing itself: NumPy only changes the layout of
operands, repeats them, and makes indices.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from client import Answer, Worker, nchw, nhwc, recipe

Array = np.ndarray
Attributes = dict[str, Any]
Operator = Callable[..., "Results"]

FUNCTION_TERMS = 36  # 2 + sqrt(36) = 8 = reference.FunctionUlps


class NotExpressible(Exception):
    """No layer, rule or plan computes the case; the message is the reason."""


@dataclass
class Results:
    """The outputs of a node. An output that the project doesn't have is None."""

    values: list[Array | None]
    terms: int = FUNCTION_TERMS


# ---------------------------------------------------------------------------------------------------- the plans


class Plans:
    """This project's layers and plans, as functions of arrays."""

    def __init__(self, worker: Worker) -> None:
        self.worker = worker

    def layers(self, layers: list[dict[str, Any]], x: Array, training: bool = False, **values: Array) -> Answer:
        """Runs layers on x, [n, ...] with channels last. A double underscore in a value's name stands for a dot."""
        for layer in layers:
            self.require("layers", layer["layer"], *(k for k in layer if k != "layer"))
        arrays = {"x": x, **{"value:" + name.replace("__", "."): v for name, v in values.items()}}
        return self.worker.ask_arrays("network", {"recipe": recipe(layers), "inference": not training}, arrays)

    def require(self, family: str, kind: str, *keys: str) -> None:
        """Raises NotExpressible unless recipes can name the kind and the keys."""
        if not self.worker.has_key(family, kind):
            raise NotExpressible(f"no {kind}")
        for key in keys:
            if not self.worker.has_key(family, kind, key):
                raise NotExpressible(f"{kind} has no {key}")

    def elementwise(self, layers: list[dict[str, Any]], x: Array) -> Array:
        """Runs elementwise layers on an array of any shape."""
        check_float(x)
        return self.layers(layers, x.reshape(1, -1))["y"].reshape(x.shape)

    def map(self, kind: str, a: Array, b: Array | None = None, along: str = "all", alpha: float = 1, beta: float = 0) -> Array:
        """An elementwise function of a, seen as [rows, c], and of b, which is repeated: along names the axes it has."""
        axes = {"all": 7, "row": 1, "column": 4, "none": 0}[along]
        rows, c = (a.shape[0], a.size // a.shape[0]) if a.ndim > 1 else (1, a.size)
        spec = {"Kind": kind, "Batch": rows, "Rows": 1, "C": c, "B": axes, "Alpha": alpha, "Beta": beta}
        return self.worker.ask("map", spec, a=a, b=b)["y"].reshape(a.shape)

    def reduce(self, kind: str, a: Array, rows: bool, alpha: float = 1) -> Array:
        """A reduction of [rows, c] to one number per row, or to one number, times alpha. The largest number of a row is what max
        pooling makes of it."""
        if kind == "max":
            assert rows and alpha == 1
            n, c = a.shape
            return self.layers([{"layer": "max-pool2d", "kernel": [1, c]}], a.reshape(n, 1, c, 1))["y"].reshape(n)
        spec = {"Kind": kind, "Batch": a.shape[0], "Rows": 1, "C": a.shape[1], "Keep": 1 if rows else 0, "Alpha": alpha}
        return self.worker.ask("reduce", spec, a=a)["y"]

    def gather(self, x: Array, ids: Array) -> Array:
        """The rows of x that ids name; a negative id gives zeros."""
        return self.worker.ask("gather", x=x, ids=ids)["y"]

    def matmul(self, a: Array, b: Array, **spec: Any) -> Array:
        """The product of two matrices, or of two stacks of matrices."""
        batch = {"Batch": a.shape[0]} if a.ndim == 3 else {}
        m, k = a.shape[-2:][::-1] if spec.get("TransA") else a.shape[-2:]
        n = b.shape[-2] if spec.get("TransB") else b.shape[-1]
        return self.worker.ask("matmul", {"M": m, "N": n, "K": k, **batch, **spec}, a=a, b=b)["y"]

    def log_softmax(self, x: Array) -> Array:
        """log softmax of the rows of x, as x - m - log(sum(exp(x - m))) with m the largest of the row."""
        d = self.map("add", x, self.reduce("max", x, rows=True), "row", 1, -1)
        total = self.reduce("sum", self.map("exp", d), rows=True)
        return self.map("add", d, self.map("log", total), "row", 1, -1)


def check_float(*arrays: Array) -> None:
    for a in arrays:
        if a.dtype != np.float32:
            raise NotExpressible("elements of another type than float32")


# ------------------------------------------------------------------------------- convolution, pooling, normalisation


def paddings(a: Attributes, size: tuple[int, ...], kernel: list[int], stride: list[int], dilation: list[int]) -> list[int]:
    """The padding before each dimension, then after each."""
    dims = len(size)
    auto = a.get("auto_pad", b"NOTSET").decode()
    if auto == "NOTSET":
        return list(a.get("pads", [0] * (2 * dims)))
    before, after = [], []
    for i in range(dims):
        out = -(-size[i] // stride[i])
        total = max((out - 1) * stride[i] + (kernel[i] - 1) * dilation[i] + 1 - size[i], 0) if auto != "VALID" else 0
        less, more = total // 2, total - total // 2
        before.append(less if auto == "SAME_UPPER" else more)
        after.append(more if auto == "SAME_UPPER" else less)
    return before + after


def planar(values: list[int], fill: int) -> list[int]:
    """The settings of a row of pixels as those of an image of height 1."""
    return [fill, *values] if len(values) == 1 else list(values)


def window(p: Plans, a: Attributes, size: tuple[int, ...], kernel: list[int]) -> dict[str, Any]:
    """The keys of a layer with windows, each only if it differs from the default."""
    dims = len(size)
    if dims > 2:
        raise NotExpressible("images of three dimensions")
    stride, dilation = a.get("strides", [1] * dims), a.get("dilations", [1] * dims)
    pads = paddings(a, size, kernel, stride, dilation)
    before, after = planar(pads[:dims], 0), planar(pads[dims:], 0)
    keys: dict[str, Any] = {"kernel": planar(kernel, 1), "stride": planar(stride, 1)}
    if before != after:
        p.require("layers", "max-pool2d", "ceil-mode")  # came with padding of each side
    if before + after != [0, 0, 0, 0]:
        keys["padding"] = before if before == after else before + after
    if any(d != 1 for d in dilation):
        keys["dilation"] = planar(dilation, 1)
    return keys


def image(x: Array) -> Array:
    """[n, c, w] or [n, c, h, w] as [n, h, w, c]."""
    return nhwc(x[:, :, None] if x.ndim == 3 else x)


def unimage(y: Array, dims: int) -> Array:
    """The inverse of image."""
    y = nchw(y)
    return y[:, :, 0] if dims == 3 else y


def conv(p: Plans, a: Attributes, x: Array, w: Array, b: Array | None = None) -> Results:
    layer = {"layer": "conv2d", "out": w.shape[0], **window(p, a, x.shape[2:], list(w.shape[2:]))}
    if a.get("group", 1) != 1:
        layer["groups"] = a["group"]
    values = {"conv1__weight": image(w)}
    if b is None:
        layer["bias"] = False
    else:
        values["conv1__bias"] = b
    y = p.layers([layer], image(x), **values)["y"]
    return Results([unimage(y, x.ndim)], math.prod(w.shape[1:]) + 1)


def conv_transpose(p: Plans, a: Attributes, x: Array, w: Array, b: Array | None = None) -> Results:
    p.require("layers", "conv2d-transpose")
    dims = x.ndim - 2
    if dims > 2:
        raise NotExpressible("images of three dimensions")
    kernel, stride, dilation = list(w.shape[2:]), a.get("strides", [1] * dims), a.get("dilations", [1] * dims)
    more = a.get("output_padding", [0] * dims)
    pads = transposed_paddings(a, x.shape[2:], kernel, stride, dilation, more)
    more = [m + max(0, -pads[i] - pads[i + dims]) for i, m in enumerate(more)]  # an output larger than all products reach
    pads = pads if min(pads) >= 0 else [max(0, v) for v in pads]
    layer = {
        "layer": "conv2d-transpose", "out": w.shape[1] * a.get("group", 1), "kernel": planar(kernel, 1), "stride": planar(stride, 1),
        "padding": planar(pads[:dims], 0) + planar(pads[dims:], 0), "dilation": planar(dilation, 1),
        "output-padding": planar(more, 0), "groups": a.get("group", 1), "bias": b is not None,
    }
    values = {"conv-transpose1__weight": image(w)} | ({} if b is None else {"conv-transpose1__bias": b})
    y = p.layers([layer], image(x), **values)["y"]
    return Results([unimage(y, x.ndim)], w[:, 0].size + 1)


def transposed_paddings(
    a: Attributes, size: tuple[int, ...], kernel: list[int], stride: list[int], dilation: list[int], more: list[int]
) -> list[int]:
    """The rows and columns that a transposed convolution takes away before each dimension, then after each."""
    dims, auto = len(size), a.get("auto_pad", b"NOTSET").decode()
    if "output_shape" in a:
        out = a["output_shape"][-dims:]
    elif auto.startswith("SAME"):
        out = [n * s for n, s in zip(size, stride)]
    else:
        return list(a.get("pads", [0] * (2 * dims)))
    total = [stride[i] * (size[i] - 1) + more[i] + (kernel[i] - 1) * dilation[i] + 1 - out[i] for i in range(dims)]
    less = [t // 2 for t in total]
    rest = [t - l for t, l in zip(total, less)]
    return less + rest if auto == "SAME_UPPER" else rest + less


def pool(kind: str) -> Operator:
    def f(p: Plans, a: Attributes, x: Array) -> Results:
        check_float(x)
        layer = {"layer": kind, **window(p, a, x.shape[2:], a["kernel_shape"])}
        if kind == "avg-pool2d" and "padding" in layer and not a.get("count_include_pad", 0):
            layer["exclude-padding"] = True
        if a.get("ceil_mode", 0) and (p.worker.has_key("layers", kind, "ceil-mode") or not divides(image(x).shape[1:3], layer)):
            layer["ceil-mode"] = True
        y = p.layers([layer], image(x))["y"]
        return Results([unimage(y, x.ndim), None], math.prod(layer["kernel"]))

    return f


def divides(size: tuple[int, ...], layer: dict[str, Any]) -> bool:
    """Whether the strides divide the way that a window goes, so that rounding up changes nothing."""
    dilation, padding = layer.get("dilation", [1, 1]), layer.get("padding", [0, 0])
    ways = [size[i] + 2 * padding[i] - dilation[i] * (layer["kernel"][i] - 1) - 1 for i in range(2)]
    return all(way % stride == 0 for way, stride in zip(ways, layer["stride"]))


def global_average_pool(p: Plans, a: Attributes, x: Array) -> Results:
    y = p.layers([{"layer": "global-avg-pool"}], image(x))["y"]
    return Results([y.reshape(x.shape[:2] + (1,) * (x.ndim - 2))], math.prod(x.shape[2:]))


def global_max_pool(p: Plans, a: Attributes, x: Array) -> Results:
    y = p.layers([{"layer": "max-pool2d", "kernel": list(x.shape[2:])}], image(x))["y"]
    return Results([unimage(y, x.ndim)])


def batch_norm(p: Plans, a: Attributes, x: Array, gamma: Array, beta: Array, mean: Array, var: Array) -> Results:
    training = bool(a.get("training_mode", 0))
    layer = {"layer": "batch-norm", "epsilon": a.get("epsilon", 1e-5), "momentum": 1 - a.get("momentum", 0.9)}
    channels = nhwc(x)
    r = p.layers(
        [layer], channels.reshape(-1, x.shape[1]), training,
        norm1__weight=gamma, norm1__bias=beta, norm1__running_mean=mean, norm1__running_var=var,
    )
    y = nchw(r["y"].reshape(channels.shape))
    rows = x.size // x.shape[1]
    if not training:
        return Results([y], 1)
    return Results([y, r["value:norm1.running_mean"], r["value:norm1.running_var"]], rows)


# -------------------------------------------------------------------------------------- functions of single elements


def activation(kind: str, **keys: str) -> Operator:
    """A layer; keys says which attribute a key of the layer takes."""

    def f(p: Plans, a: Attributes, x: Array) -> Results:
        layer = {"layer": kind, **{key: a[name] for key, name in keys.items() if name in a}}
        return Results([p.elementwise([layer], x)])

    return f


def gelu(p: Plans, a: Attributes, x: Array) -> Results:
    tanh = a.get("approximate", b"none") == b"tanh"
    return Results([p.elementwise([{"layer": "gelu", "tanh": tanh}], x)])


def swish(p: Plans, a: Attributes, x: Array) -> Results:
    if a.get("alpha", 1.0) != 1.0:
        raise NotExpressible("x*sigmoid(alpha*x) with alpha other than 1")
    return Results([p.elementwise([{"layer": "silu"}], x)])


def selu(p: Plans, a: Attributes, x: Array) -> Results:
    """gamma * elu(x; alpha)."""
    alpha, gamma = a.get("alpha", 1.67326319217681884765625), a.get("gamma", 1.05070102214813232421875)
    return Results([p.elementwise([{"layer": "elu", "alpha": alpha}, {"layer": "scale", "by": gamma}], x)])


def prelu(p: Plans, a: Attributes, x: Array, slope: Array) -> Results:
    """The slope is repeated as NumPy repeats it, along the dimensions before its own or where its own is 1."""
    full = (1,) * (x.ndim - slope.ndim) + slope.shape
    if all(d == 1 for d in full):
        layer, rows, slopes = {"layer": "prelu", "shared": True}, x.reshape(1, -1), slope.reshape(1)
    elif x.ndim > 2 and full == (1, x.shape[1]) + (1,) * (x.ndim - 2):
        y = p.layers([{"layer": "prelu"}], nhwc(x).reshape(-1, x.shape[1]), prelu1__weight=slope.reshape(-1))["y"]
        return Results([nchw(y.reshape(nhwc(x).shape))])
    else:
        layer, rows, slopes = {"layer": "prelu"}, x.reshape(-1, slope.size), slope.reshape(-1)
    return Results([p.layers([layer], rows, prelu1__weight=slopes)["y"].reshape(x.shape)])


def dropout(p: Plans, a: Attributes, x: Array, ratio: Array | None = None, training: Array | None = None) -> Results:
    check_float(x)
    rate = 0.5 if ratio is None else float(ratio)
    if training is not None and bool(training):
        if rate > 0:
            raise NotExpressible("the mask comes from NumPy's random numbers")
        return Results([p.layers([{"layer": "dropout", "rate": rate}], x.reshape(1, -1), True)["y"].reshape(x.shape), None])
    return Results([p.elementwise([{"layer": "dropout", "rate": rate}], x), None])


def add(p: Plans, a: Attributes, first: Array, *others: Array) -> Results:
    check_float(first, *others)
    y = p.map("affine", first) if not others else first
    for b in others:
        if b.shape == y.shape:
            y = p.map("add", y, b, beta=1)
        elif b.shape == y.shape[-1:]:
            y = p.map("add", y.reshape(-1, b.size), b, "column", beta=1).reshape(y.shape)
        else:
            raise NotExpressible(f"a sum of the shapes {y.shape} and {b.shape}")
    return Results([y], 1 + len(others))


def flatten(p: Plans, a: Attributes, x: Array) -> Results:
    """The dimensions before the axis are those of the batch."""
    check_float(x)
    axis = a.get("axis", 1) % (x.ndim + 1) if a.get("axis", 1) >= 0 else a["axis"] % x.ndim
    batch = math.prod(x.shape[:axis])
    return Results([p.layers([{"layer": "flatten"}], x.reshape(batch, *(x.shape[axis:] or (1,))))["y"]])


# ------------------------------------------------------------------------------------------------ products of matrices


def gemm(p: Plans, a: Attributes, x: Array, w: Array, bias: Array | None = None) -> Results:
    """alpha * op(x) op(w) + beta * bias."""
    keys = {"TransA": bool(a.get("transA", 0)), "TransB": bool(a.get("transB", 0))}
    alpha, beta = a.get("alpha", 1.0), a.get("beta", 1.0)
    y = p.matmul(x, w, **keys)
    terms = (x.shape[0] if keys["TransA"] else x.shape[1]) + 1
    if bias is None:
        return Results([y if alpha == 1 else p.map("affine", y, alpha=alpha)], terms)
    along = "none" if bias.size == 1 else "all" if bias.shape == y.shape else "column"
    if along == "column" and bias.shape[-1] != y.shape[1]:
        along = "row"
    return Results([p.map("add", y, bias.reshape(-1), along, alpha, beta)], terms)


def matmul(p: Plans, a: Attributes, x: Array, w: Array) -> Results:
    """As numpy.matmul: vectors are matrices of one row or column, and stacks are repeated to the same length."""
    left = x[None] if x.ndim == 1 else x
    right = w[:, None] if w.ndim == 1 else w
    shape = np.broadcast_shapes(left.shape[:-2], right.shape[:-2])
    if shape:
        left = np.broadcast_to(left, shape + left.shape[-2:]).reshape(-1, *left.shape[-2:])
        right = np.broadcast_to(right, shape + right.shape[-2:]).reshape(-1, *right.shape[-2:])
    y = p.matmul(left, right).reshape(*shape, left.shape[-2], right.shape[-1])
    y = y.reshape(y.shape[:-1] if w.ndim == 1 else y.shape)
    return Results([y[..., 0, :] if x.ndim == 1 and w.ndim > 1 else y[..., 0] if x.ndim == 1 else y], x.shape[-1])


# ----------------------------------------------------------------------------------------------- softmax and losses


def by_rows(function: str) -> Operator:
    """A function of the rows along an axis; before version 13, of all axes from there on."""

    def f(p: Plans, a: Attributes, x: Array, version: int) -> Results:
        run = {"softmax": lambda m: p.worker.ask("softmax", x=m)["y"], "log-softmax": p.log_softmax}[function]
        if version < 13:
            rows = x.reshape(math.prod(x.shape[: a.get("axis", 1) % x.ndim]), -1)
            return Results([run(rows).reshape(x.shape)], rows.shape[1])
        axis = a.get("axis", -1)
        last = np.ascontiguousarray(np.moveaxis(x, axis, -1))
        y = run(last.reshape(-1, last.shape[-1])).reshape(last.shape)
        return Results([np.moveaxis(y, -1, axis)], last.shape[-1])

    return f


def cross_entropy(p: Plans, a: Attributes, x: Array, labels: Array, weights: Array | None = None) -> Results:
    classes = x.shape[1]
    last = nhwc(x)
    rows, labels_of_rows = last.reshape(-1, classes), labels.reshape(-1)
    loss: dict[str, Any] = {"kind": "cross-entropy"}
    if weights is not None:
        loss["class-weights"] = [float(v) for v in weights]
    if "ignore_index" in a:
        loss["ignore-index"] = a["ignore_index"]
    logs = p.log_softmax(rows)
    reduction = a.get("reduction", b"mean").decode()
    if reduction == "none":
        value = picked(p, logs, labels_of_rows, weights, a.get("ignore_index")).reshape(labels.shape)
    else:
        args = {"recipe": recipe([{"layer": "flatten"}], {**loss, "sum": reduction == "sum"}), "classes": classes}
        stats = p.worker.ask("network", args, x=rows, targets=labels_of_rows)["stats"]
        value = stats[0] / stats[3] if reduction == "mean" else stats[0]  # as training reports it
    return Results([np.asarray(value), nchw(logs.reshape(last.shape))], max(classes, len(rows)))


def picked(p: Plans, logs: Array, labels: Array, weights: Array | None, ignored: int | None) -> Array:
    """-w[label] times each row's element at its label, or 0 for an ignored label."""
    return p.map("mul", picked_elements(p, logs, labels, ignored), label_weights(p, labels, weights, logs.shape[1], ignored), alpha=-1)


def picked_elements(p: Plans, logs: Array, labels: Array, ignored: int | None) -> Array:
    ids = np.arange(len(labels)) * logs.shape[1] + labels
    return p.gather(logs.reshape(-1, 1), np.where(labels == ignored, -1, ids) if ignored is not None else ids).reshape(-1)


def label_weights(p: Plans, labels: Array, weights: Array | None, classes: int, ignored: int | None) -> Array:
    table = np.ones(classes, np.float32) if weights is None else weights
    ids = np.where(labels == ignored, -1, labels) if ignored is not None else labels
    return p.gather(table.reshape(-1, 1), ids).reshape(-1)


def negative_log_likelihood(p: Plans, a: Attributes, x: Array, labels: Array, weights: Array | None = None) -> Results:
    """-w[label] x[label], whose mean is weighted. Only x is not log-probabilities here, so no loss of ours computes it."""
    ignored = a.get("ignore_index")
    rows, flat = nhwc(x).reshape(-1, x.shape[1]), labels.reshape(-1)
    losses = picked(p, rows, flat, weights, ignored)
    reduction = a.get("reduction", b"mean").decode()
    if reduction == "none":
        return Results([losses.reshape(labels.shape)], 1)
    total = p.reduce("sum", losses.reshape(1, -1), rows=False)
    if reduction == "mean":
        w = label_weights(p, flat, weights, x.shape[1], ignored)
        total = p.map("div", total, p.reduce("sum", w.reshape(1, -1), rows=False))
    return Results([total.reshape(())], len(flat))


# ------------------------------------------------------------------------------------------------------ update rules


def of_each(a: tuple[Array, ...], kinds: int) -> list[tuple[Array, ...]]:
    """The operands of each parameter: ONNX lists all parameters, then all gradients, and so on."""
    count = len(a) // kinds
    return list(zip(*[a[i * count : (i + 1) * count] for i in range(kinds)]))


def first_step(p: Plans, rule: dict[str, Any], state: str, w: Array, g: Array, s: Array) -> tuple[Array, Array]:
    """The parameter and the state after one update."""
    p.require("rules", rule["kind"])
    args = {"recipe": recipe(optimizer=rule), "steps": 1, "total": 1, "per_epoch": 1}
    r = p.worker.ask_arrays("update", args, {"w": w, "g": g[None], "state:" + state: s})
    return r["w"][0], r["state:" + state]


def adagrad(p: Plans, a: Attributes, lr: Array, step: Array, *operands: Array) -> Results:
    rule = {
        "kind": "adagrad", "lr": float(lr) / (1 + float(step) * a["decay_factor"]), "epsilon": a["epsilon"],
        "weight-decay": a["norm_coefficient"],
    }
    pairs = [first_step(p, rule, "adagrad.sum.w", *o) for o in of_each(operands, 3)]
    return Results([w for w, _ in pairs] + [s for _, s in pairs])


def momentum(p: Plans, a: Attributes, lr: Array, step: Array, *operands: Array) -> Results:
    if step > 0 and a["beta"] != 1:
        raise NotExpressible("dampening")
    rule = {
        "kind": "sgd", "lr": float(lr), "momentum": a["alpha"], "nesterov": a["mode"] == b"nesterov",
        "weight-decay": a["norm_coefficient"],
    }
    pairs = [first_step(p, rule, "sgd.velocity.w", *o) for o in of_each(operands, 3)]
    return Results([w for w, _ in pairs] + [s for _, s in pairs])


def adam(p: Plans, a: Attributes, lr: Array, step: Array, *operands: Array) -> Results:
    """At step 0 ONNX corrects nothing, so the plan gets corrections of 1 (device.HyperCorrection1)."""
    if step != 0 or a.get("norm_coefficient_post", 0):
        raise NotExpressible("a correction in place of the learning rate")
    b1, b2 = a["alpha"], a["beta"]
    row = [float(lr), a.get("norm_coefficient", 0), b1, b2, 1, 1, 1, 1 - b1, 1 - b2]
    spec = {"Kind": 2, "Epsilon": a["epsilon"], "HyperparameterRow": row}
    each = [p.worker.ask("fused-update", spec, w=w, g=g, state1=m, state2=v) for w, g, m, v in of_each(operands, 4)]
    return Results([r[name] for name in ("w", "state1", "state2") for r in each])


def none(reason: str) -> Operator:
    def f(p: Plans, a: Attributes, *operands: Array) -> Results:
        raise NotExpressible(reason)

    return f

# ------------------------------------------------------------------------------- normalisation of parts of an example


def layer_norm(p: Plans, a: Attributes, x: Array, scale: Array, shift: Array) -> Results:
    """The layer normalises the last dimension; ONNX all from an axis on, which are one dimension here."""
    rows = x.reshape(-1, scale.size)
    layer = {"layer": "layer-norm", "epsilon": a.get("epsilon", 1e-5)}
    y = p.layers([layer], rows, norm1__weight=scale.reshape(-1), norm1__bias=shift.reshape(-1))["y"]
    return Results([y.reshape(x.shape), None, None], rows.shape[1])


def group_norm(p: Plans, a: Attributes, x: Array, scale: Array, shift: Array) -> Results:
    groups = a.get("num_groups", x.shape[1])  # as many as channels is instance normalisation
    layer = {"layer": "group-norm", "groups": groups, "epsilon": a.get("epsilon", 1e-5)}
    y = p.layers([layer], image(x), norm1__weight=scale, norm1__bias=shift)["y"]
    return Results([unimage(y, x.ndim)], x[0].size // groups)


# -------------------------------------------------------------------------------------------------- the small plans


def unary(kind: str, alpha: float = 1) -> Operator:
    def f(p: Plans, a: Attributes, x: Array) -> Results:
        check_float(x)
        return Results([p.map(kind, x, alpha=alpha)])

    return f


def binary(kind: str, beta: float = 0) -> Operator:
    """A function of two operands, or of several one after the other; b is repeated along the dimensions that it lacks."""

    def f(p: Plans, a: Attributes, y: Array, *others: Array) -> Results:
        check_float(y, *others)
        for b in others:
            if b.shape == y.shape:
                y = p.map(kind, y, b, beta=beta)
            elif b.shape == y.shape[-1:]:
                y = p.map(kind, y.reshape(-1, b.size), b, "column", beta=beta).reshape(y.shape)
            else:
                raise NotExpressible(f"operands of the shapes {y.shape} and {b.shape}")
        return Results([p.map("affine", y) if not others else y])

    return f


def reduction(kind: str, first: str | None = None, last: str | None = None, mean: bool = False) -> Operator:
    """A reduction over some axes, with a function of each element before it, or of the result after it."""

    def f(p: Plans, a: Attributes, x: Array, axes: Array | None = None) -> Results:
        check_float(x)
        chosen = a.get("axes", [] if axes is None else [int(v) for v in axes])
        if not len(chosen) and a.get("noop_with_empty_axes", 0):
            raise NotExpressible("a reduction over no axes")
        if not x.size:
            raise NotExpressible("an empty operand")
        over = sorted(v % x.ndim for v in chosen) or list(range(x.ndim))
        kept = [i for i in range(x.ndim) if i not in over]
        rows = np.ascontiguousarray(np.transpose(x, kept + over)).reshape(math.prod(x.shape[i] for i in kept), -1)
        terms = rows.shape[1]
        if first:
            rows = p.map(first, rows)
        y = p.reduce(kind, rows, rows=True, alpha=1 / terms if mean else 1)
        if last:
            y = p.map(last, y)
        shape = [1 if i in over else d for i, d in enumerate(x.shape)] if a.get("keepdims", 1) else [x.shape[i] for i in kept]
        return Results([y.reshape(shape)], terms)

    return f


def gather(p: Plans, a: Attributes, x: Array, ids: Array) -> Results:
    check_float(x)
    axis = a.get("axis", 0)
    rows = np.ascontiguousarray(np.moveaxis(x, axis, 0))
    y = p.gather(rows.reshape(len(rows), -1), ids.reshape(-1) % len(rows)).reshape(*ids.shape, *rows.shape[1:])
    order = list(range(ids.ndim, ids.ndim + axis)) + list(range(ids.ndim)) + list(range(ids.ndim + axis, y.ndim))
    return Results([np.transpose(y, order)], 1)


def resize(p: Plans, a: Attributes, x: Array, *sizes: Array | None) -> Results:
    """Only the nearest pixel and whole factors: a repetition of pixels."""
    last = sizes[-1]
    plain = set(a) <= {"mode", "axes"} and a.get("mode", b"nearest") == b"nearest" and last is not None
    factors = [1.0] * x.ndim
    for axis, v in zip(a.get("axes", range(x.ndim)), last if last is not None else []):
        factors[axis] = float(v) if last.dtype.kind == "f" else v / x.shape[axis]
    if not plain or x.ndim != 4 or factors[:2] != [1, 1] or any(f != int(f) for f in factors):
        raise NotExpressible("a resizing other than the repetition of pixels")
    if factors[2] != factors[3]:
        raise NotExpressible("up-sample has one factor for both dimensions")
    y = p.layers([{"layer": "up-sample", "factor": int(factors[2])}], image(x))["y"]
    return Results([unimage(y, 4)], 1)


# ------------------------------------------------------------------------------------------------------- the lists

# The operators that were first compared by hand: 298 cases.
OPERATORS: dict[str, Operator] = {
    "Adagrad": adagrad, "Adam": adam, "Momentum": momentum,
    "Conv": conv, "ConvTranspose": conv_transpose,
    "AveragePool": pool("avg-pool2d"), "MaxPool": pool("max-pool2d"), "LpPool": none("no Lp pooling"),
    "GlobalAveragePool": global_average_pool, "GlobalMaxPool": global_max_pool,
    "BatchNormalization": batch_norm,
    "Elu": activation("elu", alpha="alpha"), "Gelu": gelu, "HardSwish": activation("hard-swish"),
    "LeakyRelu": activation("leaky-relu", slope="alpha"), "Mish": activation("mish"), "PRelu": prelu, "Relu": activation("relu"),
    "Selu": selu, "Sigmoid": activation("sigmoid"), "Swish": swish, "Tanh": activation("tanh"),
    "Add": add, "Sum": add, "Dropout": dropout, "Flatten": flatten, "Gemm": gemm, "MatMul": matmul,
    "Softmax": by_rows("softmax"), "LogSoftmax": by_rows("log-softmax"),
    "SoftmaxCrossEntropyLoss": cross_entropy, "NegativeLogLikelihoodLoss": negative_log_likelihood,
}

# Operators that became expressible later, counted separately.
FURTHER: dict[str, Operator] = {
    "LayerNormalization": layer_norm, "GroupNormalization": group_norm, "InstanceNormalization": group_norm,
    "Softplus": activation("softplus"), "Resize": resize, "Upsample": resize, "Gather": gather,
    "Abs": unary("abs"), "Exp": unary("exp"), "Log": unary("log"), "Neg": unary("affine", -1), "Reciprocal": unary("reciprocal"),
    "Sign": unary("sign"), "Sqrt": unary("sqrt"),
    "Div": binary("div"), "Max": binary("max", 1), "Min": binary("min", 1), "Mul": binary("mul"), "Sub": binary("add", -1),
    "ReduceL1": reduction("sum", first="abs"), "ReduceL2": reduction("sum-squares", last="sqrt"), "ReduceMax": reduction("max"),
    "ReduceMean": reduction("sum", mean=True), "ReduceSum": reduction("sum"), "ReduceSumSquare": reduction("sum-squares"),
}
