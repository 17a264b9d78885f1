"""Writes pytorch.json: learning rates, momentums and weights of PyTorch's optimisers, step by step, in float64.

Package optimtest compares with them. Needs torch; pytorch.json names the version that it was made with.

    python nn/optim/optimtest/pytorch.py > nn/optim/optimtest/pytorch.json
"""

import json
import sys

import numpy as np
import torch
from torch.optim import lr_scheduler as schedulers


def rates(make, total, epochs=None, momentum=0.0):
    """The learning rates and momentums of all steps, of a rate of 1. With epochs, the schedule steps once per epoch,
    with a result of each: {"steps per epoch", "losses" or "accuracies"}."""
    p = torch.nn.Parameter(torch.zeros(1, dtype=torch.float64))
    optimizer = torch.optim.SGD([p], lr=1.0, momentum=momentum)
    scheduler = make(optimizer)
    factors, momentums = [], []
    for step in range(total):
        group = optimizer.param_groups[0]
        factors.append(group["lr"])
        momentums.append(group["momentum"])
        optimizer.step()
        if epochs is None:
            if step + 1 < total:
                scheduler.step()
        elif (step + 1) % epochs["per_epoch"] == 0:
            results = epochs.get("losses") or epochs["accuracies"]
            scheduler.step(results[step // epochs["per_epoch"]])
    return factors, momentums


def case(settings, total, per_epoch, make, momentum=0.0, **epochs):
    factors, momentums = rates(make, total, {"per_epoch": per_epoch, **epochs} if epochs else None, momentum)
    out = {"settings": settings, "total": total, "per_epoch": per_epoch, "factors": factors, **epochs}
    if "max-momentum" in settings:
        out["momentums"] = momentums
    return out


def schedules():
    for per_epoch, every in [(10, 0.1), (10, 0.2), (10, 0.3), (10, 0.7), (30, 0.1), (7, 1), (4, 2.25)]:
        size = round(per_epoch * every)
        yield case({"kind": "step", "gamma": 0.9, "every": every}, 60, per_epoch,
                   lambda o: schedulers.StepLR(o, step_size=size, gamma=0.9))
    for per_epoch, milestones in [(10, [0.3, 0.7, 2.1]), (30, [0.1, 0.7, 1.1]), (3, [1, 4])]:
        steps = [round(m * per_epoch) for m in milestones]
        yield case({"kind": "step", "gamma": 0.1, "milestones": milestones}, 40, per_epoch,
                   lambda o: schedulers.MultiStepLR(o, milestones=steps, gamma=0.1))
    for total, final in [(1, 0.0), (10, 0.0), (37, 0.1)]:
        yield case({"kind": "cosine", "final": final}, total, 7,
                   lambda o: schedulers.CosineAnnealingLR(o, T_max=total, eta_min=final))
    for first, growth, final, per_epoch in [(0.7, 1, 0.0, 10), (1, 2, 0.1, 5), (0.3, 3, 0.0, 10), (2, 1, 0.2, 3)]:
        yield case({"kind": "cosine-restarts", "first": first, "growth": growth, "final": final}, 50, per_epoch,
                   lambda o: schedulers.CosineAnnealingWarmRestarts(o, T_0=round(first * per_epoch), T_mult=growth, eta_min=final))
    for total, power in [(1, 1.0), (10, 1.0), (33, 0.9), (20, 2.0)]:
        yield case({"kind": "polynomial", "power": power}, total, 4,
                   lambda o: schedulers.PolynomialLR(o, total_iters=total, power=power))
    for total, start, linear in [(1, 0.3, False), (2, 0.3, False), (3, 0.3, True), (4, 0.23, False), (7, 0.1, True),
                                 (10, 0.05, False), (10, 0.3, False), (33, 0.5, True), (20, 1.0, False)]:
        for cycles in [False, True]:
            settings = {"kind": "one-cycle", "start": start, "div": 20, "final-div": 50, "linear": linear}
            if cycles:
                settings |= {"base-momentum": 0.8, "max-momentum": 0.9}
            yield case(settings, total, 5, lambda o: schedulers.OneCycleLR(
                o, max_lr=1.0, total_steps=total, pct_start=start, div_factor=20, final_div_factor=50,
                anneal_strategy="linear" if linear else "cos", cycle_momentum=cycles, base_momentum=0.8, max_momentum=0.9,
            ), momentum=0.5)
    yield case({"kind": "sequential", "milestones": [0.7, 2], "schedules": [
        {"kind": "cosine", "final": 0.2}, {"kind": "step", "gamma": 0.5, "every": 0.3}, {"kind": "polynomial", "power": 2.0},
    ]}, 45, 10, lambda o: schedulers.SequentialLR(o, [
        schedulers.CosineAnnealingLR(o, T_max=7, eta_min=0.2), schedulers.StepLR(o, step_size=3, gamma=0.5),
        schedulers.PolynomialLR(o, total_iters=25, power=2.0),
    ], milestones=[7, 20]))
    losses = [1.0, 0.9, 0.9, 0.89999, 0.91, 0.85, 0.86, 0.86, 0.87, 0.85, 0.86, 0.9, 0.7, 0.71, 0.7, 0.7, 0.7, 0.7, 0.7, 0.7]
    for patience, cooldown, least, threshold in [(0, 0, 0.0, 1e-4), (1, 2, 0.0, 1e-4), (2, 0, 0.05, 0.01), (3, 1, 0.0, 1e-4)]:
        settings = {"kind": "plateau", "gamma": 0.3, "patience": patience, "cooldown": cooldown, "min": least, "threshold": threshold}
        yield case(settings, 60, 3, lambda o: schedulers.ReduceLROnPlateau(
            o, factor=0.3, patience=patience, cooldown=cooldown, min_lr=least, threshold=threshold, eps=0), losses=losses)
        yield case(settings | {"metric": "accuracy"}, 60, 3, lambda o: schedulers.ReduceLROnPlateau(
            o, mode="max", factor=0.3, patience=patience, cooldown=cooldown, min_lr=least, threshold=threshold, eps=0),
            accuracies=[round(1 - x / 2, 6) for x in losses])


def rules():
    """Ten steps of each rule with the same gradients; the weights are those after the first and the last step."""
    rng = np.random.default_rng(11)
    start = rng.standard_normal(12).astype(np.float32)
    gradients = (0.5 + rng.standard_normal((10, 12))).astype(np.float32)
    yield {"start": start.tolist(), "gradients": gradients.tolist()}

    def weights(make):
        p = torch.nn.Parameter(torch.tensor(start, dtype=torch.float64))
        optimizer = make([p])
        out = []
        for g in gradients:
            p.grad = torch.tensor(g, dtype=torch.float64)
            optimizer.step()
            out.append(p.detach().tolist())
        return out

    def case(settings, make, decay=0.0):
        return {"settings": settings, "lr": 0.01, "weight-decay": decay, "weights": weights(make)[::9]}

    for decay in [0.0, 0.1]:
        shared = {"lr": 0.01, "weight_decay": decay}
        for momentum, dampening in [(0.9, 0.0), (0.9, 0.9), (0.5, 0.3)]:
            yield case({"kind": "sgd", "momentum": momentum, "dampening": dampening},
                       lambda p: torch.optim.SGD(p, momentum=momentum, dampening=dampening, **shared), decay)
        yield case({"kind": "sgd", "momentum": 0.8, "nesterov": True},
                   lambda p: torch.optim.SGD(p, momentum=0.8, nesterov=True, **shared), decay)
        for lr_decay, initial in [(0.0, 0.0), (0.1, 0.5)]:
            yield case({"kind": "adagrad", "lr-decay": lr_decay, "initial-sum": initial},
                       lambda p: torch.optim.Adagrad(p, lr_decay=lr_decay, initial_accumulator_value=initial, **shared), decay)
        for amsgrad in [False, True]:
            for beta2 in [0.9, 0.999]:
                settings = {"beta1": 0.8, "beta2": beta2, "amsgrad": amsgrad}
                yield case({"kind": "adam"} | settings,
                           lambda p: torch.optim.Adam(p, betas=(0.8, beta2), amsgrad=amsgrad, **shared), decay)
                yield case({"kind": "adamw"} | settings,
                           lambda p: torch.optim.AdamW(p, betas=(0.8, beta2), amsgrad=amsgrad, **shared), decay)
        for centered in [False, True]:
            for alpha, momentum in [(0.99, 0.0), (0.9, 0.0), (0.99, 0.7)]:
                yield case({"kind": "rmsprop", "beta2": alpha, "momentum": momentum, "centered": centered},
                           lambda p: torch.optim.RMSprop(p, alpha=alpha, momentum=momentum, centered=centered, **shared), decay)


def cycled():
    """Rules whose momentum, or first beta, follows a cycle."""
    rng = np.random.default_rng(12)
    start = rng.standard_normal(12).astype(np.float32)
    gradients = (0.5 + rng.standard_normal((10, 12))).astype(np.float32)
    yield {"start": start.tolist(), "gradients": gradients.tolist()}
    for settings, make in [
        ({"kind": "sgd", "momentum": 0.5}, lambda p: torch.optim.SGD(p, lr=0.01, momentum=0.5)),
        ({"kind": "sgd", "momentum": 0.5, "nesterov": True}, lambda p: torch.optim.SGD(p, lr=0.01, momentum=0.5, nesterov=True)),
        ({"kind": "sgd", "momentum": 0.5, "dampening": 0.3}, lambda p: torch.optim.SGD(p, lr=0.01, momentum=0.5, dampening=0.3)),
        ({"kind": "adam"}, lambda p: torch.optim.Adam(p, lr=0.01)),
        ({"kind": "adam", "amsgrad": True}, lambda p: torch.optim.Adam(p, lr=0.01, amsgrad=True)),
        ({"kind": "rmsprop", "momentum": 0.5}, lambda p: torch.optim.RMSprop(p, lr=0.01, momentum=0.5)),
        ({"kind": "rmsprop", "momentum": 0.5, "centered": True}, lambda p: torch.optim.RMSprop(p, lr=0.01, momentum=0.5, centered=True)),
    ]:
        p = torch.nn.Parameter(torch.tensor(start, dtype=torch.float64))
        optimizer = make([p])
        scheduler = schedulers.OneCycleLR(optimizer, max_lr=0.01, total_steps=10, base_momentum=0.8, max_momentum=0.9)
        weights = []
        for step, g in enumerate(gradients):
            p.grad = torch.tensor(g, dtype=torch.float64)
            optimizer.step()
            weights.append(p.detach().tolist())
            if step < 9:
                scheduler.step()
        yield {"settings": settings, "lr": 0.01, "weight-decay": 0.0, "weights": weights[::9]}


def block(items):
    return "[\n" + ",\n".join(json.dumps(x) for x in items) + "\n]"


sys.stdout.write('{"torch": %s,\n"schedules": %s,\n"rules": %s,\n"cycled": %s}\n' % (
    json.dumps(torch.__version__), block(schedules()), block(rules()), block(cycled())))
