"""Random losses and their gradients against PyTorch in float64.

Where PyTorch has no such loss, its automatic differentiation still computes the gradient: of the focal loss, and of weights
per example. Means are divided as device.LossSpec says; for labels without example weights that is PyTorch's own mean.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from bounds import FUNCTION, Want, sum_ulps, want
from client import recipe
from oracle import Tensor, float32
from report import Recorder
from torch_layers import Random, tensor

PASS_ON = [{"layer": "flatten"}]  # a network whose outputs are its input


# The losses, with the number of their cases.
COUNTS = {"cross-entropy": 200, "mse": 60, "focal": 120}


class LossCase:
    """Outputs, targets and weights."""

    def __init__(self, r: Random, kind: str) -> None:
        self.kind = kind
        self.n, self.classes = r.pick(1, 2, 17, 100), r.pick(2, 3, 10, 17, 100)
        self.z = r.normal(self.n, self.classes, scale=r.pick(1, 1, 4))
        self.settings: dict[str, Any] = {"kind": kind}
        self.soft = r.chance(0.35)
        if self.soft:
            t = np.exp(r.normal(self.n, self.classes))
            self.targets = (t / t.sum(1, keepdims=True)).astype(np.float32)
        else:
            self.targets = r.rng.integers(0, self.classes, self.n).astype(np.int32)
            if self.n > 1 and r.chance(0.3):
                self.settings["ignore-index"] = r.pick(int(self.targets[0]), -1)
                self.targets[-1] = self.settings["ignore-index"]
                if (self.targets == self.settings["ignore-index"]).all():  # PyTorch's mean would be 0/0
                    self.targets[0] = (self.targets[0] + 1) % self.classes
        if r.chance(0.4):
            self.settings["class-weights"] = [float(v) for v in np.abs(r.normal(self.classes)) + np.float32(0.1)]
        if r.chance(0.4):
            self.settings["sum"] = True
        self.example_weights = np.abs(r.normal(self.n)) + np.float32(0.1) if r.chance(0.3) else None
        if kind == "cross-entropy" and r.chance(0.4):
            self.settings["smoothing"] = r.pick(0.1, 0.2, 0.9)
        if kind == "focal":
            self.settings["gamma"] = r.pick(0.5, 1.0, 2.0, 3.5)

    @property
    def kept(self) -> Tensor:
        """1 for each example that counts."""
        ignored = self.settings.get("ignore-index")
        return torch.ones(self.n) if self.soft or ignored is None else torch.tensor(self.targets != ignored).double()

    @property
    def probabilities(self) -> Tensor:
        """The targets as rows of probabilities; of ignored examples, zeros."""
        if self.soft:
            return tensor(self.targets)
        labels = torch.tensor(self.targets, dtype=torch.int64)
        rows = F.one_hot(labels.clamp(0, self.classes - 1), self.classes).double()
        return rows * self.kept[:, None]

    @property
    def class_weights(self) -> Tensor:
        w = self.settings.get("class-weights")
        return torch.ones(self.classes) if w is None else tensor(np.array(w))

    def losses(self, z: Tensor) -> Tensor:
        """The loss of each example, without its weight."""
        t, w = self.probabilities, self.class_weights
        if self.kind == "cross-entropy":
            smoothing = float32(self.settings.get("smoothing", 0.0))
            return F.cross_entropy(z, t, weight=w, reduction="none", label_smoothing=smoothing) * self.kept
        if self.kind == "mse":
            return ((z - t) ** 2).mean(1) * self.target_weights
        logs = F.log_softmax(z, 1)
        return -(w * t * (1 - logs.exp()) ** float32(self.settings["gamma"]) * logs).sum(1)

    @property
    def target_weights(self) -> Tensor:
        """u of device.LossSpec: how much an example counts in the mean."""
        return ((self.probabilities * self.class_weights).sum(1) if "class-weights" in self.settings else torch.ones(self.n)) * self.kept

    @property
    def weights(self) -> Tensor:
        return torch.ones(self.n) if self.example_weights is None else tensor(self.example_weights)

    def divisor(self) -> Tensor:
        return torch.tensor(1.0) if self.settings.get("sum") else (self.weights * self.target_weights).sum()

    def wants(self) -> dict[str, Want]:
        """The sum of the losses, the sum of the weights, and the gradient with respect to the outputs."""
        z = tensor(self.z).requires_grad_()
        losses = self.losses(z)
        total = (self.weights * losses).sum()
        (total / self.divisor()).backward()
        if not self.soft and self.example_weights is None and self.kind == "cross-entropy":
            self.confirm(total.detach())
        size, gradient = self.magnitudes(z.detach())
        ulps = FUNCTION + sum_ulps(self.n) + sum_ulps(self.classes)
        weight = (self.weights * self.target_weights).sum()
        return {
            "loss": want(total, (self.weights * size).sum(), ulps),
            "weight": want(weight, None, sum_ulps(self.n) + sum_ulps(self.classes)),
            "dx": want(z.grad, self.weights[:, None] * gradient / self.divisor(), 2 * FUNCTION + 2 * sum_ulps(self.classes) + sum_ulps(self.n)),
        }

    def confirm(self, total: Tensor) -> None:
        """PyTorch's loss of labels, with its own mean, must be this file's."""
        labels = torch.tensor(self.targets, dtype=torch.int64)
        reduction = "sum" if self.settings.get("sum") else "mean"
        theirs = F.cross_entropy(
            tensor(self.z), labels, weight=self.class_weights, reduction=reduction, ignore_index=self.settings.get("ignore-index", -100),
            label_smoothing=float32(self.settings.get("smoothing", 0.0)),
        )
        assert torch.allclose(theirs, total / self.divisor(), rtol=1e-12, equal_nan=True), (theirs, total / self.divisor())

    def magnitudes(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """The sizes of the terms of each example's loss and of its gradient, as in reference/loss.go."""
        if self.kind == "mse":
            u = self.target_weights[:, None] / self.classes
            return self.losses(z), 2 * u * (z.abs() + 1)
        t, w = self.probabilities, self.class_weights
        smoothing = float32(self.settings.get("smoothing", 0.0))
        a = w * ((1 - smoothing) * t + smoothing / self.classes) * self.kept[:, None]
        lse = torch.logsumexp(z, 1, keepdim=True)
        p, reach = (z - lse).exp(), 1 + (z - lse).abs()
        if self.kind == "focal":
            return self.focal_magnitudes(z, w * t, p, reach)
        total = a.sum(1, keepdim=True)
        return (total * (lse.abs() + 1)).squeeze(1) + (a * z.abs()).sum(1), total * p * reach + a

    def focal_magnitudes(self, z: Tensor, t: Tensor, p: Tensor, reach: Tensor) -> tuple[Tensor, Tensor]:
        """The gradient is that of the cross-entropy of the targets c (see nn/focal.go). p has a relative error of some units
        times reach, which c takes on as p dc/dp."""
        g = float32(self.settings["gamma"])
        q = p.detach().requires_grad_()
        c = (1 - q) ** g - g * q * (1 - q) ** (g - 1) * q.log()
        slope = torch.autograd.grad(c.sum(), q)[0]
        value = p.detach().requires_grad_()
        h = (1 - value) ** g * -value.log()
        bend = torch.autograd.grad(h.sum(), value)[0]
        c_size = t * (c.detach().abs() + g * p * (1 - p) ** (g - 1) * p.log().abs() + (slope * p).abs() * reach)
        loss = (t * (h.detach() + (bend * p).abs() * reach + (1 - p) ** g * (z.abs() + torch.logsumexp(z, 1, keepdim=True).abs()))).sum(1)
        total = c_size.sum(1, keepdim=True)
        return loss, total * p * reach + c_size


def run(recorder: Recorder, seed: int, share: float) -> None:
    """Runs a share of the cases."""
    for i, (kind, count) in enumerate(COUNTS.items()):
        r = Random(seed * 1000 + 100 + i)
        for _ in range(max(1, round(count * share))):
            case = LossCase(r, kind)
            arrays = {"x": case.z, "targets": case.targets, "weights": case.example_weights}
            args = {"recipe": recipe(PASS_ON, case.settings), "classes": case.classes, "batch": case.n + r.pick(0, 0, 3)}
            what = {**case.settings, "n": case.n, "classes": case.classes, "soft targets": case.soft,
                    "example weights": case.example_weights is not None}
            what.pop("class-weights", None)
            if "class-weights" in case.settings:
                what["class weights"] = True
            extract = lambda a: {"loss": a["stats"][0], "weight": a["stats"][3], "dx": a["dx"]}  # noqa: E731
            recorder.check(kind, what, "network", args, arrays, case.wants(), extract)
    softmax(recorder, Random(seed * 1000 + 110), max(1, round(60 * share)))


def softmax(recorder: Recorder, r: Random, count: int) -> None:
    for _ in range(count):
        n, classes = r.pick(1, 7, 100), r.pick(1, 2, 10, 17, 1000)
        x = r.normal(n, classes, scale=r.pick(1, 10))
        y = torch.softmax(tensor(x), 1)
        reach = 1 + (tensor(x) - torch.logsumexp(tensor(x), 1, keepdim=True)).abs()
        recorder.check("softmax", {"n": n, "classes": classes}, "softmax", {}, {"x": x}, {"y": want(y, y * reach, FUNCTION + sum_ulps(classes))})
