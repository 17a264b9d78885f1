"""Checks trainer import with weights that PyTorch writes.

    python3 bench/export/check.py imports

Residual networks of 18 and 34 layers, defined as torchvision defines them and with its names, get random weights and running
statistics and are saved as state dicts. The program imports them with the recipe resnet18 and must give the same
probabilities to within 1e-4.
"""

from __future__ import annotations

import json
import os
import struct
import subprocess
import sys
import zlib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
TOLERANCE = 1e-4
CLASSES, SIDE, PICTURES = 10, 64, 4
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def network(blocks: list[int]):
    """Returns a residual network with so many basic blocks in each of its four stages."""
    import torch
    from torch import nn

    class Block(nn.Module):
        def __init__(self, c_in: int, c_out: int, stride: int):
            super().__init__()
            self.conv1 = nn.Conv2d(c_in, c_out, 3, stride, 1, bias=False)
            self.bn1 = nn.BatchNorm2d(c_out)
            self.conv2 = nn.Conv2d(c_out, c_out, 3, 1, 1, bias=False)
            self.bn2 = nn.BatchNorm2d(c_out)
            self.downsample = None
            if stride != 1 or c_in != c_out:
                self.downsample = nn.Sequential(nn.Conv2d(c_in, c_out, 1, stride, bias=False), nn.BatchNorm2d(c_out))

        def forward(self, x):
            y = self.bn2(self.conv2(self.bn1(self.conv1(x)).relu()))
            return (y + (x if self.downsample is None else self.downsample(x))).relu()

    class Network(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv1 = nn.Conv2d(3, 64, 7, 2, 3, bias=False)
            self.bn1 = nn.BatchNorm2d(64)
            self.maxpool = nn.MaxPool2d(3, 2, 1)
            c = 64
            for stage, n in enumerate(blocks):
                width = 64 << stage
                layers = [Block(c if k == 0 else width, width, 2 if stage and k == 0 else 1) for k in range(n)]
                setattr(self, f"layer{stage + 1}", nn.Sequential(*layers))
                c = width
            self.fc = nn.Linear(c, CLASSES)

        def forward(self, x):
            x = self.maxpool(self.bn1(self.conv1(x)).relu())
            for stage in range(4):
                x = getattr(self, f"layer{stage + 1}")(x)
            return self.fc(x.mean((2, 3)))

    torch.manual_seed(1)
    net = Network().eval()
    with torch.no_grad():
        for name, tensor in net.state_dict().items():
            if name.endswith("running_var") or tensor.dim() == 1 and name.endswith("weight"):
                tensor.copy_(0.7 + 0.6 * torch.rand(tensor.shape))
            elif tensor.dim() == 1:
                tensor.copy_(0.1 * torch.randn(tensor.shape))
        net.fc.weight.mul_(4)  # so that the classes' probabilities differ
    return net


def recipe(program: Path, blocks: list[int]) -> str:
    """Returns the recipe resnet18, with so many blocks in each stage."""
    text = subprocess.run([program, "recipe", "resnet18"], capture_output=True, text=True, check=True).stdout
    for stage, n in enumerate(blocks):
        block = f'[[network]]\nblock = "basic"\nstage = {stage + 1}\nn = %d\nout = {64 << stage}\n'
        last = block % 1
        if text.count(last) != 1:
            raise ValueError(f"the recipe resnet18 has not one\n{last}")
        text = text.replace(last, "\n".join(block % k for k in range(1, n)))
    return text


def write_png(path: Path, pixels) -> None:
    """Writes uint8 [h, w, 3] as a PNG."""
    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    h, w, _ = pixels.shape
    rows = b"".join(b"\0" + row.tobytes() for row in pixels)
    head = struct.pack(">IIBBBBB", w, h, 8, 2, 0, 0, 0)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))


def check(folder: Path, program: Path, blocks: list[int]) -> float:
    """Imports a network and returns the largest difference of a probability."""
    import numpy as np
    import safetensors.torch
    import torch

    net = network(blocks)
    safetensors.torch.save_file(net.state_dict(), folder / "theirs.safetensors")
    (folder / "r.toml").write_text(recipe(program, blocks))
    command = [program, "import", folder / "theirs.safetensors", "-recipe", folder / "r.toml", "-set", f"data.size={SIDE}"]
    imported = subprocess.run([*command, "-o", folder / "ours.safetensors"], capture_output=True, text=True, check=True)
    print(imported.stdout.splitlines()[0].replace(str(folder) + "/", ""))
    pixels = np.random.default_rng(1).integers(0, 256, (PICTURES, SIDE, SIDE, 3), np.uint8)
    with torch.no_grad():
        x = torch.from_numpy((pixels / 255 - MEAN) / STD).float().permute(0, 3, 1, 2)
        want = net(x).softmax(1).numpy()
    if not 0.05 < want.max(1).mean() - want.mean() < 0.8:
        raise ValueError(f"the probabilities say nothing: {want}")
    largest = 0.0
    for k, picture in enumerate(pixels):
        write_png(folder / "p.png", picture)
        answer = subprocess.run([program, "predict", folder / "ours.safetensors", folder / "p.png", "-json", "-top", str(CLASSES)],
                                capture_output=True, text=True, check=True)
        top = json.loads(answer.stdout)["top"]
        got = np.zeros(CLASSES)
        for entry in top:
            got[int(entry["class"])] = entry["probability"]
        largest = max(largest, float(np.abs(got - want[k]).max()))
    return largest


def check_all(folder: Path) -> int:
    program = folder / "trainer"
    subprocess.run([os.environ.get("GO", "go"), "build", "-o", program, "./cmd/trainer"], cwd=ROOT, check=True)
    failed = 0
    for name, blocks in (("resnet18", [2, 2, 2, 2]), ("resnet34", [3, 4, 6, 3])):
        difference = check(folder, program, blocks)
        if not difference <= TOLERANCE:
            print(f"FAIL  {name}: the probabilities differ by {difference:.2g}")
            failed += 1
        else:
            print(f"{name}: imported; largest difference {difference:.1e}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(check_all(Path(sys.argv[1])))
