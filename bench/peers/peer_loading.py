"""Reads pictures with PyTorch's DataLoader and Pillow, or with tf.data, for run.py -load. It also makes the pictures.

Each picture is cropped to the square in its middle and resized by a triangle filter that is widened when shrinking, as our
loader does; a batch has 64 images of bytes. With draft, Pillow decodes at the smallest scale that is not below the size.
"""

from __future__ import annotations

import argparse
import itertools
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

import protocol

BATCH = 64
AHEAD = 4  # batches that may be ready when a measurement begins


def enlarge(pixels: np.ndarray[Any, Any], height: int, width: int) -> np.ndarray[Any, Any]:
    """Doubles the size of [h, w, 3], and cuts it to the given one."""
    rows, columns = pixels.shape[:2]
    channels = [Image.fromarray(pixels[..., c]).resize((2 * columns, 2 * rows), Image.Resampling.BILINEAR) for c in range(3)]
    return np.stack([np.asarray(c)[:height, :width] for c in channels], axis=-1)


def photograph(rng: np.random.Generator, height: int, width: int) -> np.ndarray[Any, Any]:
    """Pixels with detail of all sizes, as photographs have it: noise of 1, 2, 4, ... pixels whose amplitude grows with its
    size."""
    levels = max(height, width).bit_length()
    pixels = np.full((1, 1, 3), 128, np.float32)
    for level in reversed(range(levels)):
        h, w = -(-height >> level), -(-width >> level)
        pixels = enlarge(pixels, h, w)
        amplitude = min(20.0, 2.5 * 1.35**level)
        gray = rng.standard_normal((h, w, 1), np.float32)
        pixels += amplitude * (0.85 * gray + 0.3 * rng.standard_normal((h, w, 3), np.float32))
    return np.clip(pixels, 0, 255).astype(np.uint8)


def make(folder: Path, count: int, copies: int, height: int, width: int) -> None:
    """Writes photographs as JPEG files of quality 90 and 4:2:0. Each has some names, so that an epoch is long."""
    rng = np.random.default_rng(1)
    for i in range(count):
        path = folder / "train" / f"class{i % 2}" / f"{i:04}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(photograph(rng, height, width)).save(path, quality=90, subsampling="4:2:0")
        for copy in range(1, copies):
            path.with_stem(f"{i:04}-{copy}").hardlink_to(path)


def files(folder: Path) -> list[tuple[str, int]]:
    """The pictures with their labels."""
    classes = sorted(p for p in (folder / "train").iterdir())
    return [(str(f), label) for label, c in enumerate(classes) for f in sorted(c.iterdir())]


def square(width: int, height: int) -> tuple[int, int, int, int]:
    """The largest square in the middle."""
    side = min(width, height)
    x, y = (width - side) // 2, (height - side) // 2
    return x, y, x + side, y + side


class Pictures:
    """A data set for DataLoader."""

    def __init__(self, folder: Path, size: int, draft: bool) -> None:
        self.files, self.size, self.draft = files(folder), size, draft

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, i: int) -> tuple[np.ndarray[Any, Any], int]:
        name, label = self.files[i]
        with Image.open(name) as picture:
            if self.draft:
                scale = self.size / min(picture.size)
                picture.draft("RGB", (round(picture.width * scale), round(picture.height * scale)))
            rgb = picture.convert("RGB")
        return np.asarray(rgb.resize((self.size, self.size), Image.Resampling.BILINEAR, square(*rgb.size))), label


def torch_batches(args: argparse.Namespace) -> tuple[str, Iterator[object]]:
    import torch
    from torch.utils.data import DataLoader

    torch.set_num_threads(1)
    loader = DataLoader(
        Pictures(args.pictures, args.size, args.mode == "draft"), batch_size=BATCH, shuffle=True, drop_last=True,  # type: ignore[arg-type]
        num_workers=args.workers, persistent_workers=True, prefetch_factor=max(1, AHEAD // args.workers),
    )
    return torch.__version__, itertools.chain.from_iterable(itertools.repeat(loader))


def tensorflow_batches(args: argparse.Namespace) -> tuple[str, Iterator[object]]:
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(args.workers)
    tf.config.threading.set_inter_op_parallelism_threads(args.workers)
    found = files(args.pictures)
    random.Random(1).shuffle(found)

    def read(name: Any, label: Any) -> tuple[Any, Any]:
        picture = tf.io.decode_jpeg(tf.io.read_file(name), channels=3)
        side = tf.minimum(tf.shape(picture)[0], tf.shape(picture)[1])
        y, x = (tf.shape(picture)[0] - side) // 2, (tf.shape(picture)[1] - side) // 2
        picture = tf.image.resize(picture[y : y + side, x : x + side], (args.size, args.size), antialias=True)
        return tf.cast(tf.round(picture), tf.uint8), label

    names, labels = zip(*found)
    pictures = tf.data.Dataset.from_tensor_slices((list(names), list(labels))).shuffle(len(found)).repeat()
    pictures = pictures.map(read, num_parallel_calls=args.workers).batch(BATCH, drop_remainder=True).prefetch(AHEAD)
    options = tf.data.Options()
    options.threading.private_threadpool_size = args.workers
    return tf.__version__, iter(pictures.with_options(options))


def build(args: argparse.Namespace) -> protocol.Built:
    version, batches = tensorflow_batches(args) if args.mode == "tensorflow" else torch_batches(args)

    def take(count: int) -> None:
        for _ in range(count):
            next(batches)

    def measure(text: str) -> protocol.Answer:
        take(AHEAD)
        count, took = protocol.repeat(float(text), lambda: take(1))
        return {"images_per_second": count * BATCH / took, "read": (count + AHEAD) * BATCH, "seconds": took}

    take(1)
    commands: dict[str, Callable[[str], protocol.Answer]] = {"measure": measure}
    return {"name": "TensorFlow" if args.mode == "tensorflow" else "PyTorch", "version": version}, commands


def main() -> None:
    parser = argparse.ArgumentParser(description="a worker of run.py -load: run that instead")
    parser.add_argument("--mode", required=True, choices=["pillow", "draft", "tensorflow", "make"])
    parser.add_argument("--pictures", type=Path, required=True)
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--count", type=int, help="of pictures to make")
    parser.add_argument("--copies", type=int, help="names of each")
    parser.add_argument("--height", type=int)
    parser.add_argument("--width", type=int)
    args = parser.parse_args()
    if args.mode == "make":
        make(args.pictures, args.count, args.copies, args.height, args.width)
        return
    protocol.serve(protocol.replies(), lambda: build(args))


if __name__ == "__main__":
    main()
