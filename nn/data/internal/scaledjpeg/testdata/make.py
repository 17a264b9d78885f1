"""Makes the progressive JPEG files of this folder from noise and gradients: python make.py (Pillow 13.0, numpy)."""

from pathlib import Path

import numpy
from PIL import Image

rng = numpy.random.default_rng(1)


def picture(height: int, width: int) -> Image.Image:
    """Gradients with noise of several sizes and one hard edge."""
    y, x = numpy.mgrid[0:height, 0:width].astype(float)
    pixels = numpy.stack([2 * x + y, 3 * y, 255 - 2 * x - y], axis=2)
    for size in (1, 4, 16):
        noise = rng.normal(0, 12, (height // size + 1, width // size + 1, 3))
        pixels += noise.repeat(size, 0).repeat(size, 1)[:height, :width]
    pixels[height // 2 :, width // 3 : width // 2] = (250, 20, 60)
    return Image.fromarray(pixels.clip(0, 255).astype(numpy.uint8))


for name, height, width, gray, options in [
    ("420", 61, 83, False, {"quality": 75, "subsampling": 2}),
    ("422", 40, 56, False, {"quality": 30, "subsampling": 1}),
    ("444", 33, 47, False, {"quality": 96, "subsampling": 0}),
    ("gray", 50, 39, True, {"quality": 85}),
    ("small", 3, 5, False, {"quality": 75, "subsampling": 2}),
    ("noise", 64, 64, False, {"quality": 100, "subsampling": 2}),
    ("restart", 37, 45, False, {"quality": 80, "subsampling": 0, "restart_marker_blocks": 4}),
    ("flat", 70, 70, False, {"quality": 10, "subsampling": 2}),
]:
    im = picture(height, width)
    if gray:
        im = im.convert("L")
    im.save(Path(__file__).parent / f"{name}.jpg", progressive=True, **options)
