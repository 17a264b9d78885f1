#!/usr/bin/env python3
"""The recipe photos compared with ResNet-18 in PyTorch: accuracy on photographs after the same time on the same processors.

    bench/peers/photos.py -source cifar10-jpeg -work work             # 5 minutes, five seeds, both sets: two hours
    bench/peers/photos.py -source cifar10-jpeg -work work -seconds 60 -seeds 1 -sets small

The source is a folder of pictures, train/CLASS/*.jpg and test/CLASS/*.jpg. Two sets are made from it in the work folder,
with every picture enlarged to 96x96 and stored as JPEG: `large` has all training pictures, `small` 500 of them, the same
number of each class; both have 2,000 test pictures. It needs torch, numpy and pillow (requirements.txt), and Go.

Both programs have the same time for training; reading the pictures before and evaluating after it don't count. A short run
of each program measures how many training pictures it takes in that time, with nothing else running; then every seed
trains with that number, which makes the accuracy independent of what else the machine does during the long part. PyTorch's
pictures are decoded once and stay in memory. The work folder keeps the speeds (speed.json) and a line for each run
(runs.jsonl): started again, the script goes on where it stopped.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional

ROOT = Path(__file__).resolve().parents[2]
SIDE = 96
SMALL, TEST = 500, 2000  # pictures
PROBE = 1500  # pictures that a run which measures the speed takes at least


def make(source: Path, target: Path, counts: dict[str, int | None]) -> None:
    """Makes a set with so many pictures of each part (None: all), the same number of each class."""
    for part, count in counts.items():
        classes = sorted(p.name for p in (source / part).iterdir() if p.is_dir())
        for name in classes:
            (target / part / name).mkdir(parents=True, exist_ok=True)
            files = sorted((source / part / name).iterdir())
            for file in files if count is None else files[: count // len(classes)]:
                out = target / part / name / (file.stem + ".jpg")
                if not out.exists():
                    picture = Image.open(file).convert("RGB").resize((SIDE, SIDE), Image.Resampling.BICUBIC)
                    picture.save(out, quality=90)


# This project.


def train_ours(trainer: Path, data: Path, out: Path, pictures: float, seed: int) -> dict:
    """Trains the recipe with so many pictures, evaluates it once, and returns the summary of the run."""
    shutil.rmtree(out, ignore_errors=True)
    epochs = pictures / sum(1 for _ in (data / "train").rglob("*.jpg"))
    command = [trainer, "-data", data, "-recipe", "photos", "-device", "cpu", "-epochs", f"{epochs:.4f}"]
    command += ["-seed", str(seed), "-set", "eval-every=0", "-quiet", "-out", out]
    subprocess.run([str(c) for c in command], check=True, stdout=subprocess.DEVNULL)
    return json.loads((out / "summary.json").read_text())


def speed_ours(trainer: Path, data: Path, out: Path) -> float:
    """Returns the training pictures a second: of the second half of a run, by the difference of a long and a short one."""
    seconds = [train_ours(trainer, data, out, pictures, 0)["train_seconds"] for pictures in (PROBE, 3 * PROBE)]
    return 2 * PROBE / (seconds[1] - seconds[0])


# PyTorch.


class Block(nn.Module):
    """Two convolutions with a shortcut around them (He et al. 2016)."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.shortcut = nn.Sequential()
        if stride != 1 or inputs != outputs:
            self.shortcut = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))

    def forward(self, x: Tensor) -> Tensor:
        y = functional.relu(self.bn1(self.conv1(x)))
        return functional.relu(self.bn2(self.conv2(y)) + self.shortcut(x))


def resnet18(classes: int) -> nn.Module:
    """ResNet-18 with torchvision's layers and initial weights."""
    layers: list[nn.Module] = [nn.Conv2d(3, 64, 7, 2, 3, bias=False), nn.BatchNorm2d(64), nn.ReLU(), nn.MaxPool2d(3, 2, 1)]
    inputs = 64
    for outputs, stride in ((64, 1), (128, 2), (256, 2), (512, 2)):
        layers += [Block(inputs, outputs, stride), Block(outputs, outputs, 1)]
        inputs = outputs
    model = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(512, classes))
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
    return model


def read(folder: Path) -> tuple[Tensor, Tensor]:
    """Returns the pictures [n, 3, h, w] as bytes, and their labels."""
    pictures, labels = [], []
    for label, name in enumerate(sorted(p.name for p in folder.iterdir())):
        for file in sorted((folder / name).iterdir()):
            pictures.append(np.asarray(Image.open(file).convert("RGB")))
            labels.append(label)
    return torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2).contiguous(), torch.tensor(labels)


def augment(x: Tensor) -> Tensor:
    """Enlarges a random part of each picture, 35% to 100% of the area, and mirrors half of them."""
    n = len(x)
    area = torch.empty(n).uniform_(0.35, 1)
    ratio = torch.exp(torch.empty(n).uniform_(math.log(3 / 4), math.log(4 / 3)))
    width, height = (area * ratio).sqrt().clamp(max=1), (area / ratio).sqrt().clamp(max=1)
    theta = torch.zeros(n, 2, 3)
    theta[:, 0, 0] = width * (torch.randint(0, 2, (n,)) * 2 - 1)
    theta[:, 1, 1] = height
    theta[:, 0, 2] = torch.empty(n).uniform_(-1, 1) * (1 - width)
    theta[:, 1, 2] = torch.empty(n).uniform_(-1, 1) * (1 - height)
    grid = functional.affine_grid(theta, list(x.shape), align_corners=False)
    return functional.grid_sample(x, grid, align_corners=False, padding_mode="reflection")


def rate_at(progress: float, peak: float) -> float:
    """Returns the learning rate after a share of the time: up in a fifth of it, then down along half a cosine wave."""
    if progress < 0.2:
        return peak * (0.04 + 0.96 * progress / 0.2)
    return peak * (1 + math.cos(math.pi * min(1, (progress - 0.2) / 0.8))) / 2


class Peer:
    """ResNet-18 in PyTorch, and its pictures in memory."""

    def __init__(self, data: Path) -> None:
        self.x, self.labels = read(data / "train")
        self.test_x, self.test_labels = read(data / "test")
        sample = self.x[torch.randperm(len(self.x))[:5000]].float()  # all pictures as float32 would be 5.5 GB
        self.mean, self.std = sample.mean((0, 2, 3), keepdim=True), sample.std((0, 2, 3), keepdim=True)
        self.batch = 64 if len(self.x) >= 1024 else 16  # as the recipe photos

    def train(self, pictures: float, seed: int) -> tuple[nn.Module, list[float]]:
        """Returns the network after so many pictures, and the seconds of each step."""
        torch.manual_seed(seed)
        peak = 0.1 * self.batch / 64
        model = resnet18(int(self.labels.max()) + 1).to(memory_format=torch.channels_last)
        optimizer = torch.optim.SGD(model.parameters(), lr=peak, momentum=0.9, weight_decay=5e-4, nesterov=True)
        loss = nn.CrossEntropyLoss(label_smoothing=0.1)
        steps, taken = round(pictures / self.batch), []
        while len(taken) < steps:
            for ids in torch.randperm(len(self.x)).split(self.batch)[: min(len(self.x) // self.batch, steps - len(taken))]:
                start = time.perf_counter()
                optimizer.param_groups[0]["lr"] = rate_at(len(taken) / steps, peak)
                x = augment((self.x[ids].float() - self.mean) / self.std).contiguous(memory_format=torch.channels_last)
                optimizer.zero_grad(set_to_none=True)
                loss(model(x), self.labels[ids]).backward()
                optimizer.step()
                taken.append(time.perf_counter() - start)
        return model, taken

    def accuracy(self, model: nn.Module) -> float:
        model.eval()
        right = 0
        with torch.inference_mode():
            for pictures, want in zip(self.test_x.split(100), self.test_labels.split(100)):
                right += int((model((pictures.float() - self.mean) / self.std).argmax(1) == want).sum())
        return right / len(self.test_x)

    def speed(self) -> float:
        """Returns the training pictures a second, without the first steps, which are slower."""
        taken = self.train(PROBE, 0)[1][3:]
        return self.batch * len(taken) / sum(taken)


def line(data: str, program: str, runs: list[dict]) -> str:
    accuracies = [100 * r["accuracy"] for r in runs]
    spread = f" ± {statistics.stdev(accuracies):.1f}%" if len(accuracies) > 1 else ""
    pictures = runs[0]["pictures"]
    return f"| {data} | {program} | {len(runs)} | {statistics.mean(accuracies):.1f}%{spread} | {pictures:,.0f} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-source", type=Path, required=True, help="folder with train/CLASS and test/CLASS")
    parser.add_argument("-work", type=Path, required=True, help="folder for the two sets and the runs")
    parser.add_argument("-trainer", type=Path, help="the program (default: built from this tree)")
    parser.add_argument("-seconds", type=float, default=300, help="of training (default 300)")
    parser.add_argument("-seeds", type=int, default=5, help="runs of each program (default 5)")
    parser.add_argument("-sets", default="small,large", help="default small,large")
    parser.add_argument("-threads", type=int, default=os.cpu_count(), help="of PyTorch (default: all processors)")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    if args.trainer is None:
        args.trainer = args.work / "trainer"
        subprocess.run([os.environ.get("GO", "go"), "build", "-o", str(args.trainer.absolute()), "./cmd/trainer"], cwd=ROOT, check=True)
    names = args.sets.split(",")
    for name in names:
        make(args.source, args.work / name, {"train": SMALL if name == "small" else None, "test": TEST})
    speeds = measure(args, names)
    for name in names:
        run(args, name, speeds[name])
    torch_name = f"ResNet-18, PyTorch {torch.__version__}"
    print("| set | program | seeds | test accuracy | training pictures |\n|---|---|---|---|---|")
    for name in names:
        for program, title in (("ours", "photos"), ("theirs", torch_name)):
            print(line(name, title, [r for r in kept(args.work) if (r["set"], r["program"]) == (name, program)]))


def measure(args: argparse.Namespace, names: list[str]) -> dict[str, dict[str, float]]:
    """Returns the pictures a second of both programs on each set; a figure that the work folder has is not measured again."""
    file = args.work / "speed.json"
    speeds = json.loads(file.read_text()) if file.exists() else {}
    for name in names:
        if name not in speeds:
            data = args.work / name
            ours = speed_ours(args.trainer.absolute(), data, args.work / "run")
            speeds[name] = {"ours": ours, "theirs": Peer(data).speed()}
            file.write_text(json.dumps(speeds))
    return speeds


def kept(work: Path) -> list[dict]:
    """Returns the runs that the work folder has."""
    file = work / "runs.jsonl"
    return [json.loads(text) for text in file.read_text().splitlines()] if file.exists() else []


def run(args: argparse.Namespace, name: str, speed: dict[str, float]) -> None:
    """Trains every seed of a set that is missing, the two programs in turn."""
    data, peer = args.work / name, None
    done = {(r["set"], r["program"], r["seed"]) for r in kept(args.work)}
    for seed in range(1, args.seeds + 1):
        for program in ("ours", "theirs"):
            if (name, program, seed) in done:
                continue
            pictures = speed[program] * args.seconds
            if program == "ours":
                accuracy = train_ours(args.trainer.absolute(), data, args.work / "run", pictures, seed)["test_accuracy"]
            else:
                peer = peer or Peer(data)
                accuracy = peer.accuracy(peer.train(pictures, seed)[0])
            record = {"set": name, "program": program, "seed": seed, "pictures": pictures, "accuracy": accuracy}
            with (args.work / "runs.jsonl").open("a") as file:
                file.write(json.dumps(record) + "\n")


if __name__ == "__main__":
    sys.exit(main())
