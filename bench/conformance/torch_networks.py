"""Whole networks, a few training steps long, and initialisers.

A network starts from the same weights in both programs, and takes the same batches. The losses of all steps and the weights
after the last one must agree within bounds.sensitivity, whose trials carry errors through all steps.

Initialisers draw their own random numbers, so their distribution is compared: with the formula that PyTorch documents, by
Kolmogorov and Smirnov's test. Its tolerance, LARGEST_DISTANCE, is exceeded by chance once in some 10^8 cases.
"""

from __future__ import annotations

import itertools
import math
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

import bounds
import oracle
from bounds import ULP, Want
from client import recipe
from oracle import Layer, Tensor
from report import Recorder
from torch_layers import SMOOTH, Random, same, smooth_block, tensor
from torch_rules import optimizer

RECIPES = Path(__file__).resolve().parent.parent.parent / "nn" / "recipe" / "recipes"
STEPS, CLASSES = 4, 10

# ------------------------------------------------------------------------------------------------------- networks


def from_recipe(name: str) -> tuple[list[Layer], dict[str, Any]]:
    """A built-in recipe's layers, written out and without dropout, and its optimiser."""
    r = tomllib.loads((RECIPES / f"{name}.toml").read_text())
    layers: list[Layer] = []
    for table in r["network"]:
        inner = r.get("block", {}).get(table.get("block"), [table])
        layers += [{k: table[v[1:]] if isinstance(v, str) and v.startswith("$") else v for k, v in l.items()} for l in inner]
    layers = [{**l, "rate": 0.0} if l["layer"] == "dropout" else {k: v for k, v in l.items() if k != "init"} for l in layers]
    layers = [{**l, "out": CLASSES} if l.get("out") == "classes" else l for l in layers]
    return same(layers), r["optimizer"]


def random_network(r: Random) -> list[Layer]:
    """Two or three blocks, joined in different ways, with pooling between them."""
    layers: list[Layer] = []
    for _ in range(r.pick(2, 3)):
        c = r.pick(4, 6, 8)
        block = smooth_block(r, c)
        layers += block
        if r.chance(0.4):
            layers.append({"layer": "residual", "body": same(smooth_block(r, c))})
        if r.chance(0.3):
            layers.append({"layer": "channel-scale", "reduction": 2})
        if r.chance(0.5):
            layers.append(r.pick({"layer": "max-pool2d", "kernel": 2}, {"layer": "avg-pool2d", "kernel": 2}))
    layers.append(r.pick({"layer": "flatten"}, {"layer": "global-avg-pool"}, {"layer": "global-max-pool"}))
    return same(layers + [{"layer": "dense", "out": 12}, {"layer": r.pick(*SMOOTH, "relu")}, {"layer": "dense", "out": CLASSES}])


RULES: list[dict[str, Any]] = [
    {"kind": "sgd", "lr": 0.05}, {"kind": "sgd", "lr": 0.02, "momentum": 0.9, "nesterov": True, "weight-decay": 0.01},
    {"kind": "adam", "lr": 3e-3, "epsilon": 1e-3}, {"kind": "adamw", "lr": 3e-3, "epsilon": 1e-3, "weight-decay": 0.1},
    {"kind": "rmsprop", "lr": 1e-3, "epsilon": 1e-3}, {"kind": "adagrad", "lr": 0.01, "epsilon": 1e-3},
]


class Training:
    """A network, its rule, its start and its batches."""

    def __init__(self, recorder: Recorder, r: Random, layers: list[Layer], rule: dict[str, Any], shape: tuple[int, ...]) -> None:
        self.layers, self.rule = layers, rule
        self.x = r.normal(STEPS, *shape)
        self.labels = r.rng.integers(0, CLASSES, (STEPS, shape[0])).astype(np.int32)
        built = recorder.any.ask("network", {"recipe": recipe(layers), "inference": True, "seed": int(r.rng.integers(1 << 30))}, x=self.x[0])
        self.start = {k.removeprefix("value:"): v for k, v in built.arrays.items() if k.startswith("value:")}

    def results(self, noise: Any) -> dict[str, Tensor]:
        """PyTorch's losses and last weights."""
        params = {k: noise(tensor(v), 1) for k, v in self.start.items()}
        trained = {k: v.requires_grad_() for k, v in params.items() if "running_" not in k}
        o = optimizer(self.rule, list(trained.values()))
        losses = []
        for x, labels in zip(self.x, self.labels):
            o.zero_grad()
            y = oracle.run(self.layers, noise(tensor(x), 1), {**params, **{k: noise(v, 1) for k, v in trained.items()}}, True, noise)
            loss = F.cross_entropy(y, torch.tensor(labels, dtype=torch.int64))
            loss.backward()
            losses.append(noise(loss.detach(), 36))
            o.step()
            for v in trained.values():
                v.data = noise(v.data, 1)
        return {"loss": torch.stack(losses), **{"value:" + k: v.detach() for k, v in params.items()}}

    def check(self, recorder: Recorder, name: str, seed: int) -> None:
        text = recipe(self.layers, {"kind": "cross-entropy"}, self.rule)
        args = {"recipe": text, "classes": CLASSES, "steps": STEPS, "total": STEPS, "per_epoch": STEPS}
        arrays = {"x": self.x, "labels": self.labels, **{"value:" + k: v for k, v in self.start.items()}}
        extract = lambda a: {"loss": np.array(a.result["losses"]), **a.arrays}  # noqa: E731
        what = {"layers": [l["layer"] for l in self.layers], "rule": self.rule}
        recorder.check(name, what, "train", args, arrays, bounds.sensitivity(self.results, seed), extract)


def run_networks(recorder: Recorder, seed: int, share: float) -> None:
    r = Random(seed * 1000 + 300)
    for name, shape in [("mnist-basic", (8, 28, 28, 1)), ("mnist", (8, 28, 28, 1)), ("cifar10-basic", (8, 32, 32, 3))]:
        layers, rule = from_recipe(name)
        rule = {**rule, **({"epsilon": 1e-3} if rule["kind"] == "adam" else {})}  # without it, a first step is the sign of a gradient
        Training(recorder, r, layers, rule, shape).check(recorder, f"network of the recipe {name}", seed)
    for i in range(max(1, round(60 * share))):
        shape = r.pick(4, 6), r.pick(8, 9), r.pick(8, 11), r.pick(1, 3)
        Training(recorder, r, random_network(r), r.pick(*RULES), shape).check(recorder, "random networks", i)


# ---------------------------------------------------------------------------------------------------- initialisers

LARGEST_DISTANCE = 3.1  # of sqrt(n) D: 2 exp(-2 * 3.1^2) = 9e-9
SEEDS = 6

# Each initialiser's variance for fans in and out, and whether it is uniform.
DISTRIBUTIONS: dict[str, tuple[Any, bool]] = {
    "pytorch": (lambda fan_in, fan_out: 1 / (3 * fan_in), True),
    "he": (lambda fan_in, fan_out: 2 / fan_in, False),
    "he-uniform": (lambda fan_in, fan_out: 2 / fan_in, True),
    "glorot": (lambda fan_in, fan_out: 2 / (fan_in + fan_out), False),
    "glorot-uniform": (lambda fan_in, fan_out: 2 / (fan_in + fan_out), True),
    "lecun": (lambda fan_in, fan_out: 1 / fan_in, False),
}

# Layers, the shapes of their inputs, and PyTorch's shapes of their weights.
WEIGHTS: list[tuple[Layer, tuple[int, ...], tuple[int, ...]]] = [
    ({"layer": "conv2d", "out": 64, "kernel": [3, 3]}, (1, 8, 8, 32), (64, 32, 3, 3)),
    ({"layer": "conv2d", "out": 33, "kernel": [5, 3]}, (1, 9, 9, 17), (33, 17, 5, 3)),
    ({"layer": "conv2d", "out": 65, "kernel": [3, 3], "groups": 65}, (1, 8, 8, 65), (65, 1, 3, 3)),
    ({"layer": "conv2d", "out": 64, "kernel": [3, 3], "groups": 4}, (1, 8, 8, 64), (64, 16, 3, 3)),
    ({"layer": "dense", "out": 100}, (1, 300), (100, 300)),
]


def initial(recorder: Recorder, layer: Layer, x: tuple[int, ...], seed: int) -> dict[str, np.ndarray]:
    """The initial weights by instruction set."""
    args = {"recipe": recipe([layer]), "inference": True, "seed": seed}
    name = "value:conv1.weight" if layer["layer"] == "conv2d" else "value:dense1.weight"
    return {k: w.ask("network", args, x=np.zeros(x, np.float32))[name] for k, w in recorder.workers.items()}


def distance(values: np.ndarray, variance: float, uniform: bool) -> float:
    """sqrt(n) times the largest difference between the distribution of the values and the one that is wanted."""
    v, n = torch.tensor(np.sort(values.ravel()).astype(np.float64)), values.size
    wide = math.sqrt(3 * variance)
    exact = ((v + wide) / (2 * wide)).clamp(0, 1) if uniform else torch.special.ndtr(v / math.sqrt(variance))
    steps = torch.arange(n + 1) / n
    return math.sqrt(n) * float(torch.maximum((steps[1:] - exact).abs().max(), (exact - steps[:-1]).abs().max()))


def run_initializers(recorder: Recorder, seed: int) -> None:
    for kind, (variance_of, uniform) in DISTRIBUTIONS.items():
        for layer, x, shape in WEIGHTS:
            fan_in, fan_out = torch.nn.init._calculate_fan_in_and_fan_out(torch.empty(shape))
            fan_out //= layer.get("groups", 1)  # a convention, see table.py
            draws = [initial(recorder, {**layer, "init": kind}, x, seed * 100 + s) for s in range(SEEDS)]
            got = {k: {"sqrt(n) D": np.array(distance(np.stack([d[k] for d in draws]), variance_of(fan_in, fan_out), uniform))} for k in recorder.workers}
            limit = Want(np.array(0.0), np.array(LARGEST_DISTANCE / ULP), 1.0)
            recorder.compare("initialisers, distribution", {"init": kind, **layer}, got, {"sqrt(n) D": limit})
    for (layer, x, shape), gain in itertools.product(WEIGHTS, (1.0, math.sqrt(2))):
        orthogonal(recorder, layer, x, gain)
    for out, inputs, kernel in ((5, 3, [3, 3]), (3, 5, [2, 2]), (4, 4, [1, 5]), (4, 4, [4, 3])):
        dirac(recorder, out, inputs, kernel)


def orthogonal(recorder: Recorder, layer: Layer, x: tuple[int, ...], gain: float) -> None:
    """Q Q^T, or Q^T Q, whichever is smaller, is gain^2 I. Elements are rounded once, as the entries of a product of length k."""
    got = {}
    for k, w in initial(recorder, {**layer, "init": {"kind": "orthogonal", "gain": gain}}, x, 1).items():
        m = w.reshape(w.shape[0], -1).astype(np.float64)
        got[k] = {"Q": m @ m.T if m.shape[0] <= m.shape[1] else m.T @ m}
    few = min(m.shape)
    recorder.compare("initialisers, orthogonal", {"gain": gain, **layer}, got, {"Q": Want(gain**2 * np.eye(few), np.full((few, few), gain**2), 2.0)})


def dirac(recorder: Recorder, out: int, inputs: int, kernel: list[int]) -> None:
    """The first filters equal PyTorch's."""
    layer = {"layer": "conv2d", "out": out, "kernel": kernel, "init": "dirac"}
    theirs = torch.nn.init.dirac_(torch.empty(out, inputs, *kernel)).permute(0, 2, 3, 1).numpy()[: min(out, inputs)]
    got = {k: {"filters": w[: min(out, inputs)]} for k, w in initial(recorder, layer, (1, 9, 9, inputs), 1).items()}
    recorder.compare("initialisers, dirac", layer, got, {"filters": Want(theirs, np.zeros_like(theirs), 0.0)})


def run(recorder: Recorder, seed: int, share: float) -> None:
    """Runs a share of the cases; all initialisers and the networks of recipes in any case."""
    run_networks(recorder, seed, share)
    run_initializers(recorder, seed)
