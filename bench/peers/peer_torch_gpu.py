"""Trains recipes with PyTorch on a GPU, for gpu.py: one process for all recipes and modes (recipe_torch.py lists them), because
PyTorch starts slowly. In addition to the commands of protocol.py it answers

    recipe {"file":..., "precision":..., "batch":..., "check":...}   sets the recipe to train
    build MODE                                                      builds a mode: {"parameters":..., ...}
    measure MODE SECONDS                                            {"images_per_second":..., "steps":...}
    train MODE {"data":..., "seeds":[...], "epochs":..., "seconds":...}           whole trainings: {"runs":[...], "warm_up_seconds":...}
"""

from __future__ import annotations

import argparse
import gc
import itertools
import json
import time
from pathlib import Path
from typing import Any

import torch

import network
import peer_torch
import protocol
import recipe_torch
import training_torch

IN_FLIGHT = 0.05  # approximate seconds of work between two waits for the GPU, as in worker/training.go


class Bench:
    """The recipe that is measured, in the modes that were built."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.setting: dict[str, Any] = {}
        self.steps: dict[str, tuple[Any, int, int]] = {}  # of a mode: a step, the batch, steps between waits

    def synchronize(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize()

    def recipe(self, args: str) -> protocol.Answer:
        """Switches to another recipe, and drops what was built for the last one."""
        self.setting = json.loads(args)
        self.steps = {}
        torch._dynamo.reset()
        gc.collect()
        if self.device.type == "cuda":
            torch.cuda.empty_cache()
        recipe_torch.set_precision(self.setting["precision"])
        return {"modes": recipe_torch.modes_of(self.setting["precision"])}

    def network(self) -> network.Network:
        return network.load_recipe(Path(self.setting["file"]), self.setting.get("batch", 0), dropout=not self.setting.get("check"))

    def build(self, mode: str) -> protocol.Answer:
        """Builds a mode and runs its first steps."""
        torch.manual_seed(1)
        net, check = self.network(), self.setting.get("check", "")
        trainer = recipe_torch.Trainer(net, mode, self.setting["precision"], self.device)
        if check:
            peer_torch.set_weights(trainer.model, net, network.weights(check))
        data = [(torch.from_numpy(x.transpose(0, 3, 1, 2)), torch.from_numpy(y)) for x, y in network.batches(net)]
        few = [t[:2] for t in data[0]]
        flops = peer_torch.step_flops(trainer.model, *few) // len(few[0])
        trainer.place()
        for group in trainer.optimizer.param_groups:
            group["lr"] = group["base_lr"] * recipe_torch.schedule(net)(0, 1_000_000)
        batches = itertools.cycle([(trainer.images(x), y.to(self.device)) for x, y in data])
        take: recipe_torch.Step = trainer.step
        if mode == "graph":
            take = recipe_torch.recorded(trainer, *next(batches))

        def step() -> torch.Tensor:
            return take(*next(batches))

        losses = [float(step()) for _ in range(network.CHECK_STEPS)]
        self.steps[mode] = step, net.batch, self.calibrate(step)
        mean = net.batch if net.loss.get("sum") else 1
        return {
            "name": "PyTorch", "mode": mode, "version": torch.__version__, "batch": net.batch,
            "parameters": sum(p.numel() for p in trainer.model.parameters() if p.requires_grad),
            "flops_per_image": flops, "output": [net.batch, network.CLASSES], "losses": [x / mean for x in losses],
        }

    def calibrate(self, step: Any) -> int:
        """The number of steps that take about IN_FLIGHT."""
        chunk = 1
        while chunk < 1 << 16:
            self.synchronize()
            start = time.perf_counter()
            for _ in range(chunk):
                step()
            self.synchronize()
            if time.perf_counter() - start >= IN_FLIGHT / 2:
                break
            chunk *= 2
        return chunk

    def measure(self, args: str) -> protocol.Answer:
        mode, _, seconds = args.partition(" ")
        step, batch, chunk = self.steps[mode]

        def several() -> None:
            for _ in range(chunk):
                step()
            self.synchronize()

        step()
        self.synchronize()
        calls, took = protocol.repeat(float(seconds), several)
        return {"images_per_second": calls * chunk * batch / took, "steps": calls * chunk, "seconds": took}

    def train(self, args: str) -> protocol.Answer:
        """Whole trainings, with as many of the seeds as the seconds allow."""
        mode, _, text = args.partition(" ")
        asked = json.loads(text)
        end = time.perf_counter() + asked["seconds"]
        net = self.network()
        net.recipe["epochs"] = asked["epochs"] or net.recipe["epochs"]
        training = training_torch.Training(net, mode, self.setting["precision"], self.device, Path(asked["data"]))
        warm_up, runs = training.warm_up(), []
        for seed in asked["seeds"]:
            start = time.perf_counter()
            runs.append({"seed": seed, **training.run(seed)})
            if time.perf_counter() + (time.perf_counter() - start) > end:
                break
        return {"runs": runs, "warm_up_seconds": warm_up}


def build(name: str) -> protocol.Built:
    """Opens the device."""
    device = torch.device(name)
    description = torch.cuda.get_device_name(device) if device.type == "cuda" else "CPU"
    torch.zeros(1, device=device)
    bench = Bench(device)
    ready = {"name": "PyTorch", "version": torch.__version__, "device": description}
    return ready, {"recipe": bench.recipe, "build": bench.build, "measure": bench.measure, "train": bench.train}


if __name__ == "__main__":
    out = protocol.replies()
    parser = argparse.ArgumentParser(description="a worker of gpu.py, which is what to run")
    parser.add_argument("--device", default="cuda")
    device = parser.parse_args().device
    protocol.serve(out, lambda: build(device))
