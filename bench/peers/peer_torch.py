"""Trains a network with PyTorch, for run.py. The modes: contiguous and channels_last run layer by layer ("eager"), compile
uses torch.compile in channels_last."""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.flop_counter import FlopCounterMode

import network
import protocol

MODES = ["contiguous", "channels_last", "compile"]


class Scale(nn.Module):
    """x times a constant."""

    def __init__(self, by: float) -> None:
        super().__init__()
        self.by = by

    def forward(self, x: Tensor) -> Tensor:
        return x * self.by


class Residual(nn.Module):
    """The output of a chain of layers, plus its input x."""

    def __init__(self, body: nn.Sequential) -> None:
        super().__init__()
        self.body = body

    def forward(self, x: Tensor) -> Tensor:
        return self.body(x) + x


def layer_module(layer: network.Layer, example: Tensor) -> nn.Module:
    """The module for a layer whose input has the shape of the example, [n, c, h, w] or [n, c]."""
    channels = example.shape[1]
    match layer["layer"]:
        case "conv2d":
            conv = nn.Conv2d(channels, layer["out"], layer["kernel"], padding=layer["padding"], bias=layer["bias"])
            conv.weight.requires_grad_(not layer["frozen"])
            return conv
        case "dense":
            return nn.Linear(channels, layer["out"], bias=layer["bias"])
        case "batch-norm":
            kind = nn.BatchNorm2d if example.dim() == 4 else nn.BatchNorm1d
            norm = kind(channels, eps=layer["epsilon"], momentum=layer["momentum"])
            norm.weight.requires_grad_(not layer["frozen-scale"])
            return norm
        case "max-pool2d":
            return nn.MaxPool2d(layer["kernel"])
        case "relu":
            return nn.ReLU(inplace=True)
        case "gelu":
            return nn.GELU()
        case "flatten":
            return nn.Flatten()
        case "dropout":
            return nn.Dropout(layer["rate"])
        case "scale":
            return Scale(layer["by"])
        case "residual":
            return Residual(build_chain(layer["body"], example)[0])
    raise ValueError(f"layer {layer['layer']!r} is not known")


def build_chain(layers: list[network.Layer], example: Tensor) -> tuple[nn.Sequential, Tensor]:
    """The chain of the layers, and its output for the example."""
    chain = nn.Sequential()
    for layer in layers:
        module = layer_module(layer, example)
        with torch.no_grad():
            example = module(example)
        chain.append(module)
    return chain, example


def build_model(net: network.Network) -> nn.Sequential:
    """The network, in training mode."""
    return build_chain(net.layers, torch.zeros(2, net.channels, net.size, net.size))[0].train()


def leaves(chain: nn.Sequential) -> list[nn.Module]:
    """The modules of a chain in order, including those of residual layers."""
    return [leaf for m in chain for leaf in (leaves(m.body) if isinstance(m, Residual) else [m])]


def set_weights(model: nn.Sequential, net: network.Network, values: list[np.ndarray]) -> None:
    """Sets the parameters to those of the Go worker, whose filters are [out, h, w, in] and
    whose vectors after flattening are in the order h, w, c."""
    left = iter(values)
    x = torch.zeros(2, net.channels, net.size, net.size)
    image = list(x.shape[1:])
    with torch.no_grad():
        for module in leaves(model):
            if isinstance(module, nn.Flatten):
                image = list(x.shape[1:])
            if isinstance(module, nn.Conv2d):
                module.weight.copy_(torch.tensor(next(left)).permute(0, 3, 1, 2))
            elif isinstance(module, nn.Linear):
                module.weight.copy_(dense_weights(torch.tensor(next(left)), image))
                image = [module.out_features, 1, 1]
            elif isinstance(module, nn.modules.batchnorm._BatchNorm):
                module.weight.copy_(torch.tensor(next(left)))
            if getattr(module, "bias", None) is not None:
                module.bias.copy_(torch.tensor(next(left)))
            x = module(x)
            if isinstance(module, nn.modules.batchnorm._BatchNorm):
                module.reset_running_stats()
    if next(left, None) is not None:
        raise ValueError("the file has more parameters than the network")


def dense_weights(w: Tensor, image: list[int]) -> Tensor:
    """[h*w*c, out] as [out, c*h*w], for an input that was an image [c, h, w]."""
    c, height, width = image
    return w.reshape(height, width, c, -1).permute(3, 2, 0, 1).reshape(w.shape[1], -1)


def step_flops(model: nn.Module, x: Tensor, y: Tensor) -> int:
    """The floating-point operations of the convolutions and matrix products of one step, counted by PyTorch."""
    with FlopCounterMode(display=False) as counter:
        functional.cross_entropy(model(x), y).backward()
    for p in model.parameters():
        p.grad = None
    return counter.get_total_flops()


def training_step(model: nn.Module, net: network.Network, mode: str) -> Callable[[Tensor, Tensor], Tensor]:
    """One step on a batch: forward, loss, backward, update. It returns the loss."""
    trained = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.SGD(trained, lr=net.lr, momentum=net.momentum, nesterov=True, fused=True)

    def loss_of(x: Tensor, y: Tensor) -> Tensor:
        return functional.cross_entropy(model(x), y)

    compute = torch.compile(loss_of) if mode == "compile" else loss_of

    def step(x: Tensor, y: Tensor) -> Tensor:
        optimizer.zero_grad(set_to_none=True)
        loss = compute(x, y)
        loss.backward()
        optimizer.step()
        return loss.detach()

    return step


def tensors(net: network.Network, mode: str) -> list[tuple[Tensor, Tensor]]:
    """The batches of images, in the mode's order of memory."""
    order = torch.contiguous_format if mode == "contiguous" else torch.channels_last
    return [
        (torch.from_numpy(x.transpose(0, 3, 1, 2)).contiguous(memory_format=order), torch.from_numpy(y))
        for x, y in network.batches(net)
    ]


def build(args: argparse.Namespace) -> protocol.Built:
    """Builds the network and runs the first steps."""
    torch.set_num_threads(args.threads)
    torch.manual_seed(1)
    net = network.load(args.row, args.batch, args.lr, dropout=not args.check)
    model = build_model(net)
    if args.check:
        set_weights(model, net, network.weights(args.check))
    if args.mode != "contiguous":
        model = model.to(memory_format=torch.channels_last)
    data = tensors(net, args.mode)
    few = [t[:2] for t in data[0]]
    flops = step_flops(model, *few) // len(few[0])
    step = training_step(model, net, args.mode)
    turns = itertools.cycle(data)
    losses = [float(step(*next(turns))) for _ in range(network.CHECK_STEPS if args.check else 2)]
    ready = {
        "name": "PyTorch",
        "mode": args.mode,
        "version": torch.__version__,
        "device": f"CPU, {torch.get_num_threads()} threads",
        "batch": net.batch,
        "parameters": sum(p.numel() for p in model.parameters() if p.requires_grad),
        "flops_per_image": flops,
        "output": [net.batch, network.CLASSES],
        "losses": losses if args.check else [],
    }
    return ready, {"measure": protocol.measure(lambda: step(*next(turns)), net.batch)}


if __name__ == "__main__":
    out = protocol.replies()
    args = protocol.arguments(MODES)
    protocol.serve(out, lambda: build(args))
