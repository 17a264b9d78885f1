"""Asks exported models and `trainer predict` about the same pictures, and compares the answers.

    ask.py TRAINER MODEL MODEL.onnx PYTORCH-FOLDER PICTURES ASKED

PICTURES is a folder. Pillow brings them to the size of the model's images and writes them as PNG into the new folder ASKED, so
that all three programs see the same pixels; probabilities must agree to within 1e-4. A program that is not installed is skipped.
"""

import csv
import importlib.util
import io
import json
import subprocess
import sys
from pathlib import Path

TOLERANCE = 1e-4


def resize(picture, images):
    """Returns a picture in the size of the model's images, scaled until it covers them and cropped equally on both sides."""
    from PIL import Image

    if images["resize"] != "crop":
        sys.exit(f'ask.py: the model wants pictures resized by "{images["resize"]}"; this script knows "crop"')
    h, w = images["height"], images["width"]
    scale = max(w / picture.width, h / picture.height)
    wide, high = max(w, round(picture.width * scale)), max(h, round(picture.height * scale))
    picture = picture.resize((wide, high), Image.Resampling.BILINEAR)
    x, y = (wide - w) // 2, (high - h) // 2
    return picture.crop((x, y, x + w, y + h))


def report(program, got, classes, rows):
    """Compares probabilities [n, classes] with the rows of trainer predict."""
    largest, same = 0.0, 0
    for p, row in zip(got, rows, strict=True):
        same += classes[int(p.argmax())] == row["class"]
        largest = max(largest, abs(float(p[classes.index(row["class"])]) - float(row["probability"])))
    print(f"{program}: {same} of {len(rows)} answers are the same, probabilities differ by {largest:.1e} at most")
    return largest <= TOLERANCE


def main():
    trainer, model, onnx_file, torch_folder, pictures, asked = sys.argv[1:]
    try:
        import numpy as np
        import onnxruntime
        from PIL import Image
    except ModuleNotFoundError as missing:
        print(f"the exported models were not asked: {missing}")
        return True
    session = onnxruntime.InferenceSession(onnx_file, providers=["CPUExecutionProvider"])
    metadata = session.get_modelmeta().custom_metadata_map
    images, classes = json.loads(metadata["images"]), json.loads(metadata["classes"])
    Path(asked).mkdir()
    for file in sorted(Path(pictures).iterdir()):
        resize(Image.open(file).convert("RGB"), images).save(Path(asked) / (file.stem + ".png"))
    text = subprocess.run([trainer, "predict", "-csv", model, asked], check=True, capture_output=True, text=True).stdout
    rows = list(csv.DictReader(io.StringIO(text)))
    pixels = np.stack([np.asarray(Image.open(row["path"])) for row in rows])

    ok = report(f"ONNX Runtime {onnxruntime.__version__}", session.run(["probabilities"], {"images": pixels})[0], classes, rows)
    try:
        import torch

        spec = importlib.util.spec_from_file_location("model", Path(torch_folder) / "model.py")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    except ModuleNotFoundError as missing:
        print(f"PyTorch was not asked: {missing}")
        return ok
    got = module.probabilities(module.load(), torch.from_numpy(pixels)).numpy()
    return report(f"PyTorch {torch.__version__}", got, module.CLASSES, rows) and ok


if __name__ == "__main__":
    sys.exit(0 if main() else 1)
