"""A recipe in PyTorch on a GPU: its network, loss and optimiser in a mode and a precision, and its whole training.

The modes, from the simplest to what PyTorch's documentation recommends for speed:

    eager          layer by layer, contiguous; 16 bits by autocast, float16 with a GradScaler
    channels_last  the same in the order NHWC
    half           channels_last, and the weights themselves in 16 bits, as in the program of airbench94's authors
    graph          half (or channels_last in float32), a whole step recorded as one CUDA graph
    compile        torch.compile(mode="reduce-overhead") of the same
    max-autotune   torch.compile(mode="max-autotune") of the same
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from fnmatch import fnmatchcase
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

import network
import peer_torch

MODES = ["eager", "channels_last", "half", "graph", "compile", "max-autotune"]
COMPILED = {"compile": "reduce-overhead", "max-autotune": "max-autotune"}
DTYPES = {"fp32": torch.float32, "tf32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}
GRAPH_WARM_UP = 3  # steps before a graph is recorded

Step = Callable[[Tensor, Tensor], Tensor]


def set_precision(precision: str) -> None:
    """Sets the precision of float32 products, and has cuDNN's algorithms timed."""
    tf32 = precision != "fp32"
    torch.backends.cuda.matmul.allow_tf32 = tf32
    torch.backends.cudnn.allow_tf32 = tf32
    torch.backends.cudnn.benchmark = True


def modes_of(precision: str) -> list[str]:
    """The modes that differ in this precision."""
    return [m for m in MODES if m != "half" or DTYPES[precision] != torch.float32]


class Trainer:
    """A recipe's network with its optimiser, in a mode and a precision."""

    def __init__(self, net: network.Network, mode: str, precision: str, device: torch.device) -> None:
        self.net, self.mode, self.device = net, mode, device
        self.dtype = DTYPES[precision]
        narrow = self.dtype != torch.float32
        self.autocast = narrow and mode in ("eager", "channels_last")
        self.order = torch.contiguous_format if mode == "eager" else torch.channels_last
        self.image_dtype = self.dtype if narrow and not self.autocast else torch.float32
        self.model = peer_torch.build_model(net)
        self.scaler = torch.amp.GradScaler(device.type, enabled=self.autocast and self.dtype == torch.float16)

    def place(self) -> None:
        """Moves the network, whose weights are set, to the device and builds the rest."""
        self.model.to(device=self.device, memory_format=self.order)
        if self.image_dtype != torch.float32:
            self.model.to(self.image_dtype)
            for module in self.model.modules():
                if isinstance(module, nn.modules.batchnorm._BatchNorm):
                    module.float()
        self.optimizer = make_optimizer(self.model, self.net, capturable=self.mode == "graph")
        self.loss = loss_function(self.net)
        self.compute: Step = self.forward
        if self.mode in COMPILED:
            self.compute = torch.compile(self.forward, mode=COMPILED[self.mode])

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        with torch.autocast(self.device.type, self.dtype, enabled=self.autocast):
            return self.loss(self.model(x).float(), y)

    def step(self, x: Tensor, y: Tensor) -> Tensor:
        """One step on a batch: forward, loss, backward, update. It returns the loss."""
        if self.mode in COMPILED:
            torch.compiler.cudagraph_mark_step_begin()
        self.optimizer.zero_grad(set_to_none=True)
        loss = self.compute(x, y)
        self.scaler.scale(loss).backward()
        self.scaler.step(self.optimizer)
        self.scaler.update()
        return loss.detach()

    def images(self, x: Tensor) -> Tensor:
        """Float32 images [n, c, h, w] in the form that the network takes, on the device."""
        return x.to(device=self.device, dtype=self.image_dtype).contiguous(memory_format=self.order)


def recorded(trainer: Trainer, x: Tensor, y: Tensor) -> Step:
    """The step as a CUDA graph, which reads its batch from its own buffers."""
    inputs = x.clone(memory_format=torch.preserve_format), y.clone()
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(GRAPH_WARM_UP):
            trainer.step(*inputs)
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        loss = trainer.step(*inputs)

    def replay(x: Tensor, y: Tensor) -> Tensor:
        inputs[0].copy_(x)
        inputs[1].copy_(y)
        graph.replay()
        return loss

    replay.trainer = trainer  # the graph uses its memory
    return replay


def loss_function(net: network.Network) -> Callable[[Tensor, Tensor], Tensor]:
    """The recipe's loss, with the gradient of the mean or of the sum."""
    kind = dict(net.loss)
    if kind.pop("kind") != "cross-entropy" or set(kind) - {"smoothing", "sum"}:
        raise ValueError(f"loss {net.loss} is not known to the peers")
    smoothing, summed = kind.get("smoothing", 0.0), kind.get("sum", False)

    def loss(output: Tensor, y: Tensor) -> Tensor:
        total = functional.cross_entropy(output, y, label_smoothing=smoothing, reduction="none" if summed else "mean")
        return total.sum() if summed else total

    return loss


def named_parameters(model: nn.Sequential, layers: list[network.Layer], prefix: str = "") -> Iterator[tuple[str, str, nn.Parameter]]:
    """The trained parameters: name, as the recipe's groups match it, role, and the parameter."""
    for i, (module, layer) in enumerate(zip(model, layers, strict=True)):
        name = prefix + layer.get("name", f"{layer['layer']}{i}")
        if isinstance(module, peer_torch.Residual):
            yield from named_parameters(module.body, layer["body"], name + ".body.")
            continue
        for kind, p in module.named_parameters(recurse=False):
            if p.requires_grad:
                norm = isinstance(module, nn.modules.batchnorm._BatchNorm)
                yield f"{name}.{kind}", "gain" if norm and kind == "weight" else kind, p


def make_optimizer(model: nn.Sequential, net: network.Network, capturable: bool = False) -> torch.optim.Optimizer:
    """The recipe's update rule with its groups, fused. Each group keeps its factors of the rates, for schedules."""
    o = dict(net.optimizer)
    kind, lr, decay = o.pop("kind"), o.pop("lr"), o.pop("weight-decay", 0.0)
    rules = o.pop("group", [])
    o.pop("lookahead", None)  # done in whole trainings
    lists: list[list[nn.Parameter]] = [[] for _ in range(len(rules) + 1)]
    for name, role, p in named_parameters(model, net.layers):
        at = next((i for i, r in enumerate(rules) if fnmatchcase(name, r.get("match", "*")) and r.get("role", role) == role), -1)
        lists[at].append(p)
    groups = []
    for params, rule in zip(lists, [*rules, {}], strict=True):
        scale = rule.get("lr-scale", 1.0)
        groups.append({
            "params": params, "lr": lr * scale, "weight_decay": decay * rule.get("decay-scale", 1.0),
            "base_lr": lr * scale, "until": rule.get("until-epoch", 0.0),
        })
    match kind:
        case "sgd":
            momentum, nesterov = o.pop("momentum", 0.0), o.pop("nesterov", False)
            made: Any = torch.optim.SGD(groups, momentum=momentum, nesterov=nesterov, fused=True)
        case "adam":
            betas = o.pop("beta1", 0.9), o.pop("beta2", 0.999)
            made = torch.optim.Adam(groups, betas=betas, eps=o.pop("epsilon", 1e-8), fused=True, capturable=capturable)
        case _:
            raise ValueError(f"optimizer {kind!r} is not known to the peers")
    if o:
        raise ValueError(f"optimizer {kind!r} has {sorted(o)}, not known to the peers")
    return made


def schedule(net: network.Network) -> Callable[[int, int], float]:
    """The factor of the learning rate at a step, given the number of steps."""
    table = net.recipe.get("schedule", {"kind": "constant"})
    match table:
        case {"kind": "constant"}:
            return lambda step, total: 1.0
        case {"kind": "cosine", **rest} if not rest:
            return lambda step, total: (1 + math.cos(math.pi * step / total)) / 2
        case {"kind": "one-cycle", **rest} if not rest:
            return one_cycle
        case {"kind": "piecewise", "points": points, **rest} if not rest:
            return lambda step, total: piecewise(points, step / total)
    raise ValueError(f"schedule {table} is not known to the peers")


def one_cycle(step: int, total: int) -> float:
    """PyTorch's OneCycleLR with its defaults, as in the recipes."""
    first, peak, last = 1 / 25, 0.3 * total - 1, total - 1
    a, b, x = (first, 1.0, step / peak) if step <= peak else (1.0, first / 1e4, (step - peak) / (last - peak))
    return b + (a - b) / 2 * (1 + math.cos(math.pi * x))


def piecewise(points: list[list[float]], at: float) -> float:
    """Linear interpolation between points."""
    for (x0, y0), (x1, y1) in zip(points, points[1:]):
        if at <= x1:
            return y0 + (y1 - y0) * (at - x0) / (x1 - x0)
    return points[-1][1]
