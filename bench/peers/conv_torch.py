"""Measures convolutions of oneDNN through PyTorch in channels_last, for run.py -conv."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

import protocol

Shape = dict[str, Any]  # as in convolutions.json, with a pass


def flops(s: Shape) -> int:
    """The floating-point operations of one pass; a multiply-add counts as two."""
    output = s["size"] + 2 * s["padding"] - s["kernel"] + 1
    return 2 * s["n"] * output**2 * s["out"] * s["kernel"] ** 2 * s["in"]


def new_pass(s: Shape) -> Callable[[], object]:
    """A function that runs one pass once."""

    def image(channels: int, size: int) -> Tensor:
        x = torch.rand(s["n"], channels, size, size) * 2 - 1
        return x.contiguous(memory_format=torch.channels_last)

    w = (torch.rand(s["out"], s["in"], s["kernel"], s["kernel"]) * 2 - 1).contiguous(memory_format=torch.channels_last)
    x = image(s["in"], s["size"])
    dy = image(s["out"], s["size"] + 2 * s["padding"] - s["kernel"] + 1)

    def backward(data: bool) -> object:
        padding = [s["padding"]] * 2
        mask = [data, not data, False]
        return torch.ops.aten.convolution_backward(dy, x, w, None, [1, 1], padding, [1, 1], False, [0, 0], 1, mask)

    passes: dict[str, Callable[[], object]] = {
        "forward": lambda: functional.conv2d(x, w, padding=s["padding"]),
        "backward-data": lambda: backward(True),
        "backward-filter": lambda: backward(False),
    }
    return passes[s["pass"]]


def measure(args: str) -> protocol.Answer:
    """The command conv SECONDS {SHAPE}. oneDNN chooses its kernel in the first call, which is not measured."""
    seconds, _, text = args.partition(" ")
    shape = json.loads(text)
    with torch.no_grad():
        run = new_pass(shape)
        run()
        calls, took = protocol.repeat(float(seconds), run)
    return {"flops_per_second": calls * flops(shape) / took, "calls": calls}


def build(threads: int) -> protocol.Built:
    """Builds nothing, because the shapes come later."""
    torch.set_num_threads(threads)
    if not torch.backends.mkldnn.is_available():
        raise RuntimeError("this PyTorch was built without oneDNN")
    ready = {
        "name": "PyTorch", "mode": "channels_last", "version": torch.__version__,
        "device": f"CPU, {torch.get_num_threads()} threads",
    }
    return ready, {"conv": measure}


if __name__ == "__main__":
    out = protocol.replies()
    parser = argparse.ArgumentParser(description="a worker of run.py -conv, which is what to run")
    parser.add_argument("--threads", type=int, required=True)
    threads = parser.parse_args().threads
    protocol.serve(out, lambda: build(threads))
