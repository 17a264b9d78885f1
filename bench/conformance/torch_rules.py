"""Update rules and schedules, step by step, against PyTorch in float64.

A rule gets the same gradients in both programs; after every step the weights are compared. PyTorch has no Lion, LARS or LAMB, and
its Muon computes in bfloat16: Lion and Muon follow their formulas in float64 (nn/optim/lion.go, nn/optim/muon.go), LARS and LAMB the
algorithms of their papers.

The bound after t steps is that of nn/device/devicetest/optimizer.go: 4 t units of |w| and of the terms of all updates. Half of the
runs begin at w = 0, where the bound is relative to the updates alone.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch

import bounds
from bounds import ELEMENTWISE, Want, want
from client import recipe
from oracle import Tensor, float32
from report import Recorder
from torch_layers import Random, tensor

Rule = dict[str, Any]
STEPS, WEIGHTS = 10, 211
LR = torch.optim.lr_scheduler


class Lion(torch.optim.Optimizer):
    """Chen et al. 2023, algorithm 2."""

    def __init__(self, params: Any, lr: float, betas: tuple[float, float], weight_decay: float) -> None:
        super().__init__(params, {"lr": lr, "betas": betas, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self) -> None:
        for group in self.param_groups:
            b1, b2 = group["betas"]
            for p in group["params"]:
                m = self.state[p].setdefault("m", torch.zeros_like(p))
                direction = (b1 * m + (1 - b1) * p.grad).sign()
                p.sub_(group["lr"] * (direction + group["weight_decay"] * p))
                m.mul_(b2).add_(p.grad, alpha=1 - b2)


def optimizer(rule: Rule, params: list[Tensor]) -> torch.optim.Optimizer:
    """PyTorch's optimiser for a recipe's table."""
    kind, lr, decay = rule["kind"], rule["lr"], rule.get("weight-decay", 0.0)
    betas = rule.get("beta1", 0.9), rule.get("beta2", 0.99 if kind == "lion" else 0.999)
    momentum, epsilon = rule.get("momentum", 0.0), rule.get("epsilon", 1e-8)
    match kind:
        case "sgd":
            return torch.optim.SGD(params, lr, momentum, rule.get("dampening", 0.0), decay, rule.get("nesterov", False))
        case "adam" if not rule.get("decoupled"):
            return torch.optim.Adam(params, lr, betas, epsilon, decay, rule.get("amsgrad", False))
        case "adam" | "adamw":
            return torch.optim.AdamW(params, lr, betas, epsilon, decay, rule.get("amsgrad", False))
        case "rmsprop":
            return torch.optim.RMSprop(params, lr, rule.get("beta2", 0.99), epsilon, decay, momentum, rule.get("centered", False))
        case "adagrad":
            return torch.optim.Adagrad(params, lr, rule.get("lr-decay", 0.0), decay, rule.get("initial-sum", 0.0), rule.get("epsilon", 1e-10))
        case "lion":
            return Lion(params, lr, betas, decay)
    raise ValueError(kind)


class Terms:
    """The sizes of the terms of each update, which its rounding errors are proportional to: nn/device/reference/optimizer.go
    for the rules that it has."""

    def __init__(self, rule: Rule) -> None:
        self.rule, self.step = rule, 0
        self.mean = self.square = self.mean_square = self.largest = self.sum = torch.zeros(())

    def update(self, g: Tensor, w: Tensor) -> Tensor:
        """The size of a step's update; w is the weight before it."""
        rule, kind = self.rule, self.rule["kind"]
        decay, lr = rule.get("weight-decay", 0.0), rule["lr"]
        self.step += 1
        extra = torch.zeros_like(w)
        size = g.abs()
        if kind in ("adamw", "lion") or rule.get("decoupled"):
            extra = lr * decay * w.abs()
        else:
            g, size = g + decay * w, g.abs() + decay * w.abs()
        return extra + lr * getattr(self, kind)(g, size)

    def sgd(self, g: Tensor, size: Tensor) -> Tensor:
        momentum = self.rule.get("momentum", 0.0)
        self.sum = momentum * self.sum + size
        return size + momentum * self.sum if self.rule.get("nesterov") else self.sum

    def adam(self, g: Tensor, size: Tensor) -> Tensor:
        b1, b2 = self.rule.get("beta1", 0.9), self.rule.get("beta2", 0.999)
        self.mean, self.square = b1 * self.mean + (1 - b1) * size, b2 * self.square + (1 - b2) * g * g
        self.largest = torch.maximum(self.largest, self.square) if self.rule.get("amsgrad") else self.square
        root = torch.sqrt(self.largest / (1 - b2**self.step)) + self.rule.get("epsilon", 1e-8)
        return self.mean / (1 - b1**self.step) / root

    adamw = adam

    def rmsprop(self, g: Tensor, size: Tensor) -> Tensor:
        b2 = self.rule.get("beta2", 0.99)
        self.square = b2 * self.square + (1 - b2) * g * g
        self.mean = b2 * self.mean + (1 - b2) * g
        inner, cancelled = self.square, torch.ones_like(g)
        if self.rule.get("centered"):  # the difference of two means loses what it cancels
            inner = self.square - self.mean**2
            cancelled = 1 + (self.square + self.mean**2) / (2 * inner)
        self.sum = self.rule.get("momentum", 0.0) * self.sum + size * cancelled / (torch.sqrt(inner) + self.rule.get("epsilon", 1e-8))
        return self.sum

    def adagrad(self, g: Tensor, size: Tensor) -> Tensor:
        if self.step == 1:
            self.square = self.square + self.rule.get("initial-sum", 0.0)
        self.square = self.square + g * g
        rate = 1 + self.rule.get("lr-decay", 0.0) * (self.step - 1)
        return size / (torch.sqrt(self.square) + self.rule.get("epsilon", 1e-10)) / rate

    def lion(self, g: Tensor, size: Tensor) -> Tensor:
        return torch.ones_like(g)


BETAS = (0.9, 0.99, 0.999, 0.9999, 0.99999, 0.999999, 0.99999999)


def rules() -> Iterator[Rule]:
    """The settings that are tried."""
    yield from ({"kind": "sgd", "lr": lr, "weight-decay": wd} for lr in (0.1, 1.0) for wd in (0.0, 0.05))
    for momentum, nesterov, wd in itertools.product((0.5, 0.9, 0.99), (False, True), (0.0, 0.01)):
        yield {"kind": "sgd", "lr": 0.1, "momentum": momentum, "nesterov": nesterov, "weight-decay": wd}
    yield from ({"kind": "sgd", "lr": 0.1, "momentum": 0.9, "dampening": d, "weight-decay": 0.01} for d in (0.5, 0.9))
    for kind, beta2 in itertools.product(("adam", "adamw"), BETAS):
        yield {"kind": kind, "lr": 1e-3, "beta2": beta2, "weight-decay": 0.0 if kind == "adam" else 0.1}
    for kind, beta1, epsilon in itertools.product(("adam", "adamw"), (0.7, 0.99), (1e-8, 1e-3)):
        yield {"kind": kind, "lr": 1e-2, "beta1": beta1, "epsilon": epsilon, "weight-decay": 0.1}
    yield from ({"kind": kind, "lr": 1e-2, "amsgrad": True, "weight-decay": 0.1} for kind in ("adam", "adamw"))
    yield {"kind": "adam", "lr": 1e-2, "weight-decay": 0.1, "decoupled": True}
    for beta2, momentum in itertools.product(BETAS, (0.0, 0.9)):
        yield {"kind": "rmsprop", "lr": 1e-3, "beta2": beta2, "momentum": momentum, "weight-decay": 0.01}
    yield from ({"kind": "rmsprop", "lr": 1e-3, "centered": True, "momentum": m} for m in (0.0, 0.9))
    for decay, initial, wd in itertools.product((0.0, 0.1), (0.0, 0.5), (0.0, 0.05)):
        yield {"kind": "adagrad", "lr": 0.1, "lr-decay": decay, "initial-sum": initial, "weight-decay": wd}
    for b1, b2, wd in itertools.product((0.9, 0.95), (0.99, 0.999), (0.0, 0.1)):
        yield {"kind": "lion", "lr": 1e-3, "beta1": b1, "beta2": b2, "weight-decay": wd}


SHARED = {"kind", "lr", "weight-decay", "decoupled"}  # keys of every rule


def expressible(recorder: Recorder, family: str, table: dict[str, Any], shared: set[str]) -> bool:
    """Whether recipes can name the kind and all keys of the table."""
    return recorder.any.has_key(family, table["kind"], *(set(table) - shared))


def gradients(r: Random, scale: float) -> np.ndarray:
    """Gradients that keep their sign, so that a sign (Lion) and a variance (centred RMSProp) don't depend on rounding."""
    sign = np.sign(r.normal(WEIGHTS))
    return ((0.1 + np.abs(r.normal(STEPS, WEIGHTS))) * sign * scale).astype(np.float32)


def rule_wants(rule: Rule, w: np.ndarray, g: np.ndarray) -> dict[str, Want]:
    p = tensor(w).requires_grad_()
    o, terms = optimizer(rule, [p]), Terms(rule)
    values, sizes, size = [], [], p.detach().abs()
    for step in range(STEPS):
        before = p.detach().clone()
        p.grad = tensor(g[step])
        size = size + terms.update(p.grad, before)
        o.step()
        values.append(p.detach().clone())
        sizes.append(size * (step + 1))
    return {"w": want(torch.stack(values), torch.stack(sizes), ELEMENTWISE)}


def run_rules(recorder: Recorder, seed: int, share: float) -> None:
    r = Random(seed * 1000 + 200)
    for rule in thinned(list(rules()), share):
        if not expressible(recorder, "rules", rule, SHARED):
            continue
        for scale, zero in itertools.product((1.0, 1e-4, 1e3), (True, False)):
            w = np.zeros(WEIGHTS, np.float32) if zero else r.normal(WEIGHTS)
            g = gradients(r, scale)
            args = {"recipe": recipe(optimizer=rule), "steps": STEPS, "total": STEPS, "per_epoch": STEPS}
            case = {**rule, "gradients": scale, "from zero": zero}
            recorder.check(rule["kind"], case, "update", args, {"w": w, "g": g}, rule_wants(rule, w, g))


def thinned(all: list[Any], share: float) -> list[Any]:
    return all if share >= 1 else all[:: max(1, round(1 / share))]


def run_cycled(recorder: Recorder, seed: int, share: float) -> None:
    """Rules whose momentum, or first beta, moves against the learning rate. The terms are bounded by those of the largest
    rate and the largest momentum."""
    r = Random(seed * 1000 + 205)
    starts, ends = (0.3, 0.5), ((0.85, 0.95), (0.5, 0.9))
    rules = [{"kind": "sgd", "lr": 0.1, "momentum": 0.9}, {"kind": "sgd", "lr": 0.1, "momentum": 0.9, "nesterov": True}, {"kind": "adam", "lr": 1e-3}]
    for rule, start, (base, most) in thinned(list(itertools.product(rules, starts, ends)), share):
        w, g = np.zeros(WEIGHTS, np.float32), gradients(r, 1.0)
        p = tensor(w).requires_grad_()
        o, terms = optimizer(rule, [p]), Terms({**rule, "momentum": most, "beta1": base})
        cycle = LR.OneCycleLR(o, rule["lr"], total_steps=STEPS, pct_start=start, base_momentum=base, max_momentum=most)
        values, sizes, size = [], [], p.detach().abs()
        for step in range(STEPS):
            p.grad = tensor(g[step])
            size = size + terms.update(p.grad, p.detach())
            o.step()
            if step + 1 < STEPS:
                cycle.step()
            values.append(p.detach().clone())
            sizes.append(size * (step + 1))
        schedule = {"kind": "one-cycle", "start": start, "base-momentum": base, "max-momentum": most}
        args = {"recipe": recipe(optimizer=rule, schedule=schedule), "steps": STEPS, "total": STEPS, "per_epoch": STEPS}
        wants = {"w": want(torch.stack(values), torch.stack(sizes), ELEMENTWISE)}
        recorder.check(f"{rule['kind']}, momentum in a cycle", {**rule, **schedule}, "update", args, {"w": w, "g": g}, wants)


# ------------------------------------------------------------------------------------------------------------- Muon


def muon(w: Tensor, g: Tensor, rule: Rule, noise: Callable[[Tensor, int], Tensor]) -> Tensor:
    """The weights after each step, by the formula of nn/optim/muon.go."""
    epsilon, momentum, v, all = 1e-7, rule["momentum"], torch.zeros_like(w), []
    for step in range(g.shape[0]):
        v = momentum * v + noise(g[step], 1)
        u = noise(g[step] + momentum * v if rule["nesterov"] else v, 1)
        x = noise(u / (u.norm() + epsilon), u.numel())
        x = x.T if x.shape[0] > x.shape[1] else x
        for _ in range(rule["steps"]):
            a = noise(x @ x.T, x.shape[1])
            b = noise(-4.7750 * a + 2.0315 * noise(a @ a, a.shape[0]), 1)
            x = noise(3.4445 * x + noise(b @ x, a.shape[0]), 1)
        x = x.T if u.shape[0] > u.shape[1] else x
        w = noise(w * (1 - rule["lr"] * rule.get("weight-decay", 0.0) * rule["decoupled"]) - rule["lr"] * x, 1)
        all.append(w)
    return torch.stack(all)


def run_muon(recorder: Recorder, seed: int, share: float) -> None:
    r = Random(seed * 1000 + 210)
    shapes = [(8, 8), (5, 40), (64, 9), (33, 130)]
    for shape, nesterov, steps in thinned(list(itertools.product(shapes, (False, True), (3, 5))), share):
        rule = {"kind": "muon", "lr": 0.1, "momentum": 0.6, "nesterov": nesterov, "steps": steps, "weight-decay": 0.1, "decoupled": True}
        w, g = r.normal(*shape), r.normal(4, *shape)
        results = lambda noise: {"w": muon(tensor(w), tensor(g), rule, noise)}  # noqa: E731
        args = {"recipe": recipe(optimizer=rule), "steps": 4, "total": 4, "per_epoch": 4}
        recorder.check("muon", {**rule, "shape": shape}, "update", args, {"w": w, "g": g}, bounds.sensitivity(results, 4))


# ---------------------------------------------------------------------------------------------------- LARS and LAMB

Noise = Callable[[Tensor, int], Tensor]


def trust(scale: float, weights: Tensor, below: Tensor) -> Tensor:
    """The ratio of a layer: scale*|w| divided by another length; 1 if either is 0, which both papers leave out, and for one
    dimension, as the authors' programs have it."""
    return scale * weights / below if weights > 0 and below > 0 else torch.ones(())


def lars(w: Tensor, g: Tensor, rule: Rule, noise: Noise) -> Tensor:
    """The weights after each step: You, Gitman and Ginsburg 2017, algorithm 1, with the learning rate in the line of the momentum, as
    there, and with a step further along it for Nesterov's."""
    momentum, beta, lr, v, all = rule["momentum"], rule["weight-decay"], rule["lr"], torch.zeros_like(w), []
    coupled = 0.0 if rule["decoupled"] else beta
    for step in range(g.shape[0]):
        local = torch.ones(())
        if w.dim() > 1:
            weights, gradient = noise(w.norm(), w.numel()), noise(g[step].norm(), w.numel())
            local = trust(rule["trust"], weights, noise(gradient + coupled * weights, 1) if gradient > 0 else gradient)
        added = noise(lr * noise(local, 1) * noise(g[step] + coupled * w, 1), 1)
        v = noise(momentum * v + added, 1)
        moved = noise(momentum * v + added, 1) if rule["nesterov"] else v
        w = noise(w - lr * (beta - coupled) * w - moved, 1)
        all.append(w)
    return torch.stack(all)


def lamb(w: Tensor, g: Tensor, rule: Rule, noise: Noise) -> Tensor:
    """The weights after each step: You et al. 2020, algorithm 2, with phi(x) = x."""
    b1, b2, decay, all = rule["beta1"], rule["beta2"], rule["weight-decay"], []
    m, v = torch.zeros_like(w), torch.zeros_like(w)
    for step in range(g.shape[0]):
        m, v = noise(b1 * m + (1 - b1) * g[step], 2), noise(b2 * v + (1 - b2) * g[step] ** 2, 2)
        first, second = noise(m / (1 - b1 ** (step + 1)), 1), noise(v / (1 - b2 ** (step + 1)), 1)
        r = noise(noise(first / noise(torch.sqrt(second) + rule["epsilon"], 1), 1) + decay * w, 1)
        ratio = trust(1.0, noise(w.norm(), w.numel()), noise(r.norm(), w.numel())) if w.dim() > 1 else torch.ones(())
        w = noise(w - rule["lr"] * noise(ratio, 1) * r, 1)
        all.append(w)
    return torch.stack(all)


def layerwise() -> Iterator[tuple[Rule, Callable[[Tensor, Tensor, Rule, Noise], Tensor]]]:
    """The settings that are tried, with the formula."""
    for momentum, nesterov, (decay, decoupled), scale in itertools.product(
        (0.5, 0.9), (False, True), ((0.0, False), (0.01, False), (0.01, True)), (0.001, 0.02)
    ):
        rule = {"kind": "lars", "lr": 3.0, "momentum": momentum, "nesterov": nesterov, "trust": scale}
        yield {**rule, "weight-decay": decay, "decoupled": decoupled}, lars
    for (b1, b2), epsilon, decay in itertools.product(((0.9, 0.999), (0.5, 0.9)), (1e-6, 1e-3), (0.0, 0.01)):
        yield {"kind": "lamb", "lr": 0.02, "beta1": b1, "beta2": b2, "epsilon": epsilon, "weight-decay": decay}, lamb


def run_layerwise(recorder: Recorder, seed: int, share: float) -> None:
    r = Random(seed * 1000 + 220)
    shapes = [(37,), (8, 8), (5, 40), (6, 3, 3, 4)]
    for rule, formula in thinned(list(layerwise()), share):
        if not expressible(recorder, "rules", rule, SHARED):
            continue
        for shape, zero in itertools.product(shapes, (True, False)):
            w = np.zeros(shape, np.float32) if zero else r.normal(*shape)
            g = r.normal(STEPS, *shape)
            results = lambda noise: {"w": formula(tensor(w), tensor(g), rule, noise)}  # noqa: E731
            args = {"recipe": recipe(optimizer=rule), "steps": STEPS, "total": STEPS, "per_epoch": STEPS}
            case = {**rule, "shape": shape, "from zero": zero}
            recorder.check(rule["kind"], case, "update", args, {"w": w, "g": g}, bounds.sensitivity(results, 5))


# -------------------------------------------------------------------------------------------------------- schedules


def factors(make: Callable[[torch.optim.Optimizer], Any], total: int) -> np.ndarray:
    """PyTorch's factor at each step."""
    p = torch.nn.Parameter(torch.zeros(1))
    o = torch.optim.SGD([p], lr=1.0, momentum=0.9)
    schedule, all = make(o), []
    for _ in range(total):
        all.append(o.param_groups[0]["lr"])
        o.step()
        schedule.step()
    return np.array([float(v) for v in all])


Schedules = Iterator[tuple[str, dict[str, Any], int, int, Callable[[Any], Any]]]


def one_cycles() -> Schedules:
    """Name, table, steps, steps per epoch, PyTorch's schedule; so in the functions below."""
    for total, start, (div, final), linear in itertools.product(
        (1, 2, 3, 4, 5, 7, 10, 33, 100, 235), (0.05, 0.1, 0.23, 0.3, 0.5, 0.9, 1.0), ((25.0, 1e4), (10.0, 100.0)), (False, True)
    ):
        table = {"kind": "one-cycle", "start": start, "div": div, "final-div": final, "linear": linear}
        yield "one-cycle", table, total, 10, lambda o, a=(total, start, div, final, linear): LR.OneCycleLR(
            o, 1.0, total_steps=a[0] , pct_start=a[1], div_factor=a[2], final_div_factor=a[3],
            anneal_strategy="linear" if a[4] else "cos", cycle_momentum=False)


def falls() -> Schedules:
    """Schedules that fall."""
    for total, final in itertools.product((1, 2, 10, 97, 1000), (0.0, 0.01, 0.5, 1.0)):
        yield "cosine", {"kind": "cosine", "final": final}, total, 7, lambda o, a=(total, final): LR.CosineAnnealingLR(o, a[0], a[1])
    for total, power in itertools.product((1, 2, 10, 97), (0.5, 1.0, 2.0)):
        yield "polynomial", {"kind": "polynomial", "power": power}, total, 7, lambda o, a=(total, power): LR.PolynomialLR(o, a[0], a[1])
    for per, growth, first, final in itertools.product((3, 10), (1, 2, 3), (1, 2), (0.0, 0.1)):
        table = {"kind": "cosine-restarts", "first": float(first), "growth": float(growth), "final": final}
        yield "cosine-restarts", table, per * 13, per, lambda o, a=(first * per, growth, final): LR.CosineAnnealingWarmRestarts(o, *a)
    for total in (10, 100):
        points = [[0.0, 0.2], [0.25, 1.0], [0.75, 0.1]]
        at, value = zip(*points)
        yield "piecewise", {"kind": "piecewise", "points": points}, total, 10, lambda o, a=(total, at, value): LR.LambdaLR(
            o, lambda t: float(np.interp(t / a[0], a[1], a[2])))


def steps() -> Schedules:
    """Steps, in whole epochs and in parts of one."""
    for per in (1, 3, 7, 10, 30, 100, 391):
        lengths = {e * per: float(e) for e in (1, 2, 3, 5)} | {n: n / per for n in (1, 2, 3, 7, 11, 13)}
        lengths |= {round(e * per): e for e in (0.1, 0.2, 0.3, 0.6, 0.7, 1.1, 2.3) if abs(e * per - round(e * per)) < 1e-9 and e * per >= 1}
        for length, every in lengths.items():
            total = min(per * 12, 240) + 30
            yield "step", {"kind": "step", "gamma": 0.9, "every": every}, total, per, lambda o, n=length: LR.StepLR(o, n, 0.9)
        for milestones in ([1, 2 * per, 5 * per + 1], [per], [3, 3 + per]):
            table = {"kind": "step", "gamma": 0.3, "milestones": [m / per for m in milestones]}
            yield "step, milestones", table, min(per * 12, 2000), per, lambda o, m=milestones: LR.MultiStepLR(o, m, 0.3)


def warm_ups() -> Schedules:
    """Schedules with a warm-up, and one after the other."""
    for w, total in itertools.product((2, 3, 5, 10, 100), (100, 300)):
        rise = lambda o, w=w: LR.LinearLR(o, 1 / w, total_iters=w - 1)  # noqa: E731
        yield "warm-up", {"kind": "constant", "warm-up-steps": w}, total, 10, rise
        yield "warm-up", {"kind": "cosine", "warm-up-steps": w}, total, 10, lambda o, r=rise, n=total: LR.ChainedScheduler(
            [r(o), LR.CosineAnnealingLR(o, n)])
    for per, a, b in itertools.product((3, 10), (1, 2), (3, 4)):
        parts = [{"kind": "constant"}, {"kind": "step", "gamma": 0.5, "every": 1.0}, {"kind": "cosine", "final": 0.0}]
        table = {"kind": "sequential", "schedules": parts, "milestones": [float(a), float(b)]}
        total = 8 * per
        yield "sequential", table, total, per, lambda o, a=a * per, b=b * per, n=total, per=per: LR.SequentialLR(
            o, [LR.ConstantLR(o, 1.0), LR.StepLR(o, per, 0.5), LR.CosineAnnealingLR(o, n - b)], [a, b])


def schedules() -> list[tuple[str, dict[str, Any], int, int, Callable[[Any], Any]]]:
    """All schedules, except plateau."""
    return list(itertools.chain(one_cycles(), falls(), steps(), warm_ups()))


def run_schedules(recorder: Recorder, share: float) -> None:
    """PyTorch computes most schedules from the step before, so its own rounding errors add up."""
    for name, table, total, per, make in thinned(schedules(), share):
        if not expressible(recorder, "schedules", table, {"kind", "warm-up-steps"}):
            continue
        try:
            theirs = factors(make, total)
        except ZeroDivisionError:  # PyTorch's one-cycle with a phase of no steps
            continue
        allowed = np.full(total, (8 + 4 * total) * 2.0**-52 / bounds.ULP)
        args = {"recipe": recipe(schedule=table), "total": total, "per_epoch": per}
        extract = lambda a: {"factor": np.array(a.result["factors"])}  # noqa: E731
        recorder.check(name, {**table, "total": total, "per epoch": per}, "schedule", args, {}, {"factor": Want(theirs, allowed, 1.0)}, extract)


def run_plateaus(recorder: Recorder, seed: int, share: float) -> None:
    """Random losses of a validation set, one after each epoch."""
    r = Random(seed * 1000 + 220)
    for patience, threshold, cooldown, least in thinned(list(itertools.product((0, 1, 3), (1e-4, 0.05), (0, 2), (0.0, 0.05))), share):
        losses = np.abs(r.normal(30, scale=0.3)) + np.linspace(2, 0.5, 30)
        p = torch.nn.Parameter(torch.zeros(1))
        o = torch.optim.SGD([p], lr=1.0)
        schedule = LR.ReduceLROnPlateau(o, factor=0.5, patience=patience, threshold=threshold, cooldown=cooldown, min_lr=least, eps=0)
        theirs = []
        for loss in losses:
            theirs.append(o.param_groups[0]["lr"])
            schedule.step(float(loss))
        table = {"kind": "plateau", "gamma": 0.5, "patience": patience, "threshold": threshold, "cooldown": cooldown, "min": least}
        args = {"recipe": recipe(schedule=table), "total": len(losses), "per_epoch": 1, "losses": [float(v) for v in losses]}
        extract = lambda a: {"factor": np.array(a.result["factors"])}  # noqa: E731
        allowed = Want(np.array(theirs), np.array(theirs), 2.0**-20)
        recorder.check("plateau", table, "schedule", args, {}, {"factor": allowed}, extract)


def run(recorder: Recorder, seed: int, share: float) -> None:
    """Runs a share of the cases."""
    run_rules(recorder, seed, share)
    run_cycled(recorder, seed, share)
    run_plateaus(recorder, seed, share)
    run_muon(recorder, seed, share)
    run_layerwise(recorder, seed, share)
    run_schedules(recorder, share)
