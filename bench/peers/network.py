"""What all programs train: the networks of networks/*.toml, or on a GPU the recipes themselves, on random images.

This project's networks are built from the same files, so nothing has to be kept in sync by hand.
"""

from __future__ import annotations

import json
import re
import struct
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

FOLDER = Path(__file__).resolve().parent / "networks"
CLASSES = 10
BATCHES = 2  # of images; worker/training.go has as many
CHECK_STEPS = 4  # whose losses --check reports; as many there

Layer = dict[str, Any]


@dataclass
class Network:
    """A network and how it is trained."""

    layers: list[Layer]
    size: int  # rows and columns of an image
    channels: int
    batch: int
    mean: list[float]
    std: list[float]
    optimizer: dict[str, Any]  # the recipe's table
    loss: dict[str, Any]  # the recipe's table
    recipe: dict[str, Any]  # all of it

    @property
    def lr(self) -> float:
        return self.optimizer["lr"]

    @property
    def momentum(self) -> float:
        return self.optimizer.get("momentum", 0.0)


def load(row: str, batch: int = 0, lr: float = 0.0, dropout: bool = True) -> Network:
    """Reads a network of networks/, with another batch and learning rate if given."""
    net = load_recipe(FOLDER / f"{row}.toml", batch, lr, dropout)
    if net.optimizer["kind"] != "sgd" or not net.optimizer["nesterov"] or net.loss != {"kind": "cross-entropy"}:
        raise ValueError(f"network {row}: want sgd with nesterov, and plain cross-entropy")
    return net


# Side and channels of the images of each data set; worker/sizes_test.go compares them with package data.
SIZES = {"mnist": (28, 1), "fashion-mnist": (28, 1), "cifar10": (32, 3), "cifar100": (32, 3)}


def load_recipe(file: Path, batch: int = 0, lr: float = 0.0, dropout: bool = True) -> Network:
    """Reads a recipe. Images have the size that it sets, or the size of its first data set."""
    recipe = tomllib.loads(file.read_text())
    size, channels = SIZES.get(recipe["data"][0], (0, 1 if recipe.get("grayscale") else 3))
    return Network(
        layers=[complete(layer, dropout) for layer in expand(recipe["network"], recipe.get("block", {}))],
        size=size or recipe["image-size"],
        channels=channels,
        batch=batch or recipe["batch"],
        mean=recipe["augment"]["mean"],
        std=recipe["augment"]["std"],
        optimizer={**recipe["optimizer"], **({"lr": lr} if lr else {})},
        loss=recipe["loss"],
        recipe=recipe,
    )


PARAMETER = re.compile(r"\$(?:([a-z][a-z0-9_]*)|\{([A-Za-z0-9_-]+)\})")


def expand(layers: list[Layer], blocks: dict[str, list[Layer]]) -> list[Layer]:
    """The layers with those of a block in place of a table that names it: see package recipe."""
    all_layers = []
    for layer in layers:
        if "block" in layer:
            all_layers += expand([fill(inner, layer) for inner in blocks[layer["block"]]], blocks)
        elif "body" in layer:
            all_layers.append({**layer, "body": expand(layer["body"], blocks)})
        else:
            all_layers.append(layer)
    return all_layers


def fill(value: Any, parameters: dict[str, Any]) -> Any:
    """A value of a block with parameters in place of $name."""
    if isinstance(value, dict):
        return {key: fill(inner, parameters) for key, inner in value.items()}
    if isinstance(value, list):
        return [fill(inner, parameters) for inner in value]
    if not isinstance(value, str):
        return value
    whole = PARAMETER.fullmatch(value)
    if whole:
        return parameters[whole[1] or whole[2]]
    return PARAMETER.sub(lambda m: str(parameters[m[1] or m[2]]), value)


DEFAULTS: dict[str, Layer] = {
    "conv2d": {"padding": 0, "bias": True, "frozen": False},
    "dense": {"bias": True},
    "max-pool2d": {},
    "batch-norm": {"epsilon": 1e-5, "momentum": 0.1, "frozen-scale": False},
    "relu": {},
    "gelu": {},
    "flatten": {},
    "dropout": {},
    "scale": {},
    "residual": {},
}
REQUIRED = {"out", "kernel", "rate", "by", "body"}
IGNORED = {"layer", "name", "init"}  # initial weights do not change the speed


def complete(layer: Layer, dropout: bool) -> Layer:
    """The layer with the recipes' defaults. An unknown layer or key is an error, because the other frameworks would train a
    different network."""
    kind = layer["layer"]
    if kind not in DEFAULTS:
        raise ValueError(f"layer {kind!r} has no counterpart in the other frameworks")
    unknown = set(layer) - set(DEFAULTS[kind]) - REQUIRED - IGNORED
    if unknown:
        raise ValueError(f"layer {kind!r} has {sorted(unknown)}, not known to the peers")
    full = {**DEFAULTS[kind], **layer}
    if full.get("out") == "classes":
        full["out"] = CLASSES
    if kind == "conv2d" and full["padding"] == "same":
        full["padding"] = (full["kernel"] - 1) // 2
    if kind == "dropout" and not dropout:
        full["rate"] = 0.0
    if kind == "residual":
        full["body"] = [complete(inner, dropout) for inner in layer["body"]]
    return full


def noise(count: int) -> np.ndarray:
    """Random bytes, the same as those of SyntheticImages in bench/training.go: the finaliser of MurmurHash3."""
    x = np.arange(count, dtype=np.uint32)
    x ^= x >> np.uint32(16)
    x *= np.uint32(0x85EBCA6B)
    x ^= x >> np.uint32(13)
    x *= np.uint32(0xC2B2AE35)
    x ^= x >> np.uint32(16)
    return (x >> np.uint32(24)).astype(np.uint8)


def batches(net: Network) -> list[tuple[np.ndarray, np.ndarray]]:
    """Normalised images, float32 [batch, h, w, c], and labels, int64 [batch]."""
    count = BATCHES * net.batch
    pixels = noise(count * net.size * net.size * net.channels)
    pixels = pixels.reshape(count, net.size, net.size, net.channels).astype(np.float32) / np.float32(255)
    images = (pixels - np.array(net.mean, np.float32)) / np.array(net.std, np.float32)
    labels = np.arange(count, dtype=np.int64) % CLASSES
    return [(images[i : i + net.batch], labels[i : i + net.batch]) for i in range(0, count, net.batch)]


def weights(path: str) -> list[np.ndarray]:
    """The parameters in a file that the Go worker wrote, in the order of the layers:
    filters [out, h, w, in], dense weights [in, out], and [c]. It is a safetensors file:
    eight bytes with the length of a header in JSON, the header, and the elements."""
    content = Path(path).read_bytes()
    (length,) = struct.unpack_from("<Q", content)
    header = json.loads(content[8 : 8 + length])
    header.pop("__metadata__", None)
    data = memoryview(content)[8 + length :]
    entries = sorted(header.items(), key=lambda e: e[1]["data_offsets"][0])
    return [
        np.frombuffer(data[e["data_offsets"][0] : e["data_offsets"][1]], np.float32).reshape(e["shape"])
        for name, e in entries
        if "running_" not in name
    ]
