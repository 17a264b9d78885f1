"""The whole training of a recipe for CIFAR-10 in PyTorch on a GPU, after the recipe's settings: augmentation of all images
on the GPU once per epoch, schedule, Lookahead, and test-time augmentation.

It follows the program of airbench94's authors (Jordan, "94% on CIFAR-10 in 3.29 seconds on a single GPU", 2024), as does
recipe airbench94. The data set is kept on the GPU. The time runs from the whitening of the first layer to the last step;
compilation and the first steps of a process come before, as in the authors' program.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

import network
import peer_torch
from recipe_torch import Trainer, schedule

WARM_UP = 4  # unmeasured steps on random images
EVALUATED = 2000  # test images per batch


def read_cifar10(folder: Path, device: torch.device) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Training and test images, uint8 [n, 3, 32, 32], and their labels, from the six binary files."""

    def read(names: list[str]) -> tuple[Tensor, Tensor]:
        rows = np.concatenate([np.fromfile(folder / n, np.uint8).reshape(-1, 1 + 3 * 32 * 32) for n in names])
        images = torch.from_numpy(rows[:, 1:].reshape(-1, 3, 32, 32).copy())
        return images.to(device), torch.from_numpy(rows[:, 0].astype(np.int64)).to(device)

    return *read([f"data_batch_{i}.bin" for i in range(1, 6)]), *read(["test_batch.bin"])


class Augmentation:
    """Flips, shifts and cutout of all images, one epoch at a time."""

    def __init__(self, net: network.Network, images: Tensor) -> None:
        table = net.recipe["augment"]
        unknown = set(table) - {"mean", "std", "flip", "crop", "cutout"}
        if unknown or table.get("flip", "none") not in ("none", "random", "alternating"):
            raise ValueError(f"augmentation {table} is not known to the peers")
        self.flip, self.crop, self.cutout = table.get("flip", "none"), table.get("crop", 0), table.get("cutout", 0)
        self.padded = functional.pad(images, [self.crop] * 4, mode="reflect") if self.crop else images
        self.count, self.side = len(images), images.shape[-1]
        self.first = torch.rand(self.count, device=images.device) < 0.5

    def epoch(self, epoch: int) -> Tensor:
        """The images of an epoch."""
        device = self.padded.device
        mirrored = torch.zeros_like(self.first)
        if self.flip == "alternating":
            mirrored = self.first ^ (epoch % 2 == 1)
        elif self.flip == "random":
            mirrored = torch.rand(self.count, device=device) < 0.5
        along = torch.arange(self.side, device=device)
        shift = torch.randint(2 * self.crop + 1, (2, self.count, 1), device=device)
        rows = along + shift[0]
        columns = torch.where(mirrored[:, None], along.flip(0), along) + shift[1]
        number = torch.arange(self.count, device=device)[:, None, None]
        # The advanced indices are not adjacent, so the result is [n, h, w, c].
        images = self.padded[number, :, rows[:, :, None], columns[:, None, :]]
        if self.cutout:
            corner = torch.randint(self.side - self.cutout + 1, (2, self.count, 1), device=device)
            inside = [(along >= c) & (along < c + self.cutout) for c in corner]
            images = images.masked_fill((inside[0][:, :, None] & inside[1][:, None, :])[..., None], 0)
        return images.permute(0, 3, 1, 2)


class Lookahead:
    """Lookahead: slow weights next to the trained ones; every few steps slow = d slow + (1-d) w, w = slow."""

    def __init__(self, model: nn.Module, table: dict[str, Any]) -> None:
        if set(table) != {"every", "base", "power"}:
            raise ValueError(f"lookahead {table} is not known to the peers")
        self.every, self.base, self.power = table["every"], table["base"], table["power"]
        self.fast = [t for t in model.state_dict().values() if t.is_floating_point()]
        self.slow = [t.detach().clone() for t in self.fast]

    def update(self, step: int, total: int) -> None:
        """Called after a step, counted from 0."""
        done = step + 1
        if done % self.every and done != total:
            return
        decay = 1.0
        if done % self.every == 0:
            decay = self.base**self.every * (done / total) ** self.power
        with torch.no_grad():
            torch._foreach_lerp_(self.slow, self.fast, 1 - decay)
            torch._foreach_copy_(self.fast, self.slow)


def whiten(conv: nn.Conv2d, images: Tensor, table: dict[str, Any]) -> None:
    """Filters that decorrelate the patches of the first images, and their negatives."""
    k = conv.kernel_size[0]
    patches = images[: table["images"]].float().unfold(2, k, 1).unfold(3, k, 1)
    patches = patches.permute(0, 2, 3, 1, 4, 5).reshape(-1, images.shape[1] * k * k).double()
    values, vectors = torch.linalg.eigh(patches.T @ patches / len(patches))
    filters = (vectors / torch.sqrt(values + table["epsilon"])).T.flip(0).reshape(-1, images.shape[1], k, k)
    with torch.no_grad():
        conv.weight.copy_(torch.cat([filters, -filters]))


def initialize(model: nn.Sequential, layers: list[network.Layer], images: Tensor) -> None:
    """The recipe's initial weights, or PyTorch's if it names none."""
    for module, layer in zip(model, layers, strict=True):
        if isinstance(module, peer_torch.Residual):
            initialize(module.body, layer["body"], images)
            continue
        if hasattr(module, "reset_parameters"):
            module.reset_parameters()
        match layer.get("init"):
            case None | "pytorch":
                pass
            case "dirac":
                with torch.no_grad():
                    nn.init.dirac_(module.weight[: module.weight.shape[1]])
            case "he":
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
            case {"kind": "whitening", **table}:
                whiten(module, images, table)
            case other:
                raise ValueError(f"initialiser {other!r} is not known to the peers")


def view(images: Tensor, table: dict[str, Any]) -> Tensor:
    """One view of test images: shifted with reflection, then mirrored."""
    dy, dx = table.get("shift", [0, 0])
    if dy or dx:
        pad = max(abs(dy), abs(dx))
        side = images.shape[-1]
        images = functional.pad(images, [pad] * 4, mode="reflect")[..., pad + dy : pad + dy + side, pad + dx : pad + dx + side]
    return images.flip(-1) if table.get("mirror") else images


class Training:
    """Trainings of a recipe in one mode and precision, one per seed."""

    def __init__(self, net: network.Network, mode: str, precision: str, device: torch.device, folder: Path) -> None:
        self.net, self.device = net, device
        self.trainer = Trainer(net, mode, precision, device)
        images, self.labels, test, self.test_labels = read_cifar10(folder, device)
        mean = torch.tensor(net.mean, device=device).view(1, 3, 1, 1)
        std = torch.tensor(net.std, device=device).view(1, 3, 1, 1)
        self.images = self.trainer.images((images / 255 - mean) / std)
        self.test = self.trainer.images((test / 255 - mean) / std)
        self.per_epoch = len(images) // net.batch if net.recipe.get("last-batch") == "drop" else -(-len(images) // net.batch)
        self.total = max(1, int(np.ceil(net.recipe["epochs"] * self.per_epoch - 1e-6)))
        self.factor = schedule(net)
        self.trainer.place()

    def synchronize(self) -> float:
        """Waits for the GPU and returns the time."""
        if self.device.type == "cuda":
            torch.cuda.synchronize()
        return time.perf_counter()

    def warm_up(self) -> float:
        """Unmeasured steps and an evaluation; returns their time, compilation included."""
        start = self.synchronize()
        noise = torch.randn_like(self.images[: self.net.batch])
        for _ in range(WARM_UP):
            self.trainer.step(noise, self.labels[: self.net.batch])
        self.accuracy()
        return self.synchronize() - start

    def run(self, seed: int) -> dict[str, float]:
        """Trains once: seconds of training and the accuracy on the test images, from 0 to 1."""
        torch.manual_seed(seed)
        start = self.synchronize()
        model, optimizer = self.trainer.model, self.trainer.optimizer
        initialize(model, self.net.layers, self.images)
        optimizer.state.clear()
        lookahead = Lookahead(model, self.net.optimizer["lookahead"]) if "lookahead" in self.net.optimizer else None
        augmentation = Augmentation(self.net, self.images)
        model.train()
        step = epoch = 0
        while step < self.total:
            images = augmentation.epoch(epoch)
            order = torch.randperm(len(images), device=self.device)
            for i in range(min(self.per_epoch, self.total - step)):
                self.set_rates(step)
                chosen = order[i * self.net.batch : (i + 1) * self.net.batch]
                self.trainer.step(images[chosen].contiguous(memory_format=self.trainer.order), self.labels[chosen])
                if lookahead:
                    lookahead.update(step, self.total)
                step += 1
            epoch += 1
        seconds = self.synchronize() - start
        return {"seconds": seconds, "accuracy": self.accuracy()}

    def set_rates(self, step: int) -> None:
        """The schedule's learning rates; zero for a group after the epoch until which it is trained."""
        factor = self.factor(step, self.total)
        for group in self.trainer.optimizer.param_groups:
            over = group["until"] and step >= group["until"] * self.per_epoch
            group["lr"] = 0.0 if over else group["base_lr"] * factor

    @torch.no_grad()
    def accuracy(self) -> float:
        """The share of test images whose largest output, summed over the views, is that of the label."""
        model, right = self.trainer.model.eval(), 0
        views = self.net.recipe.get("evaluate", {}).get("views", [{"weight": 1.0}])
        for x, y in zip(self.test.split(EVALUATED), self.test_labels.split(EVALUATED)):
            with torch.autocast(self.device.type, self.trainer.dtype, enabled=self.trainer.autocast):
                outputs = sum(v.get("weight", 1.0) * model(view(x, v)).float() for v in views)
            right += int((outputs.argmax(1) == y).sum())
        model.train()
        return right / len(self.test)
