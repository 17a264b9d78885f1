"""Checks exports of trained networks in ONNX Runtime: accuracy in fp32, fp16 and int8.

    python3 bench/export/check.py accuracy

The recipe mnist is trained for its epoch (2 seconds on two cores). If CIFAR10 names a folder with CIFAR-10's binary files,
cifar10-basic is trained for 3 epochs, too, or taken from the run's folder that CIFAR10_RUN names. Each is exported in all
precisions, and ONNX Runtime answers all test images. In fp32 every answer must be that of the program; in fp16 and int8 the
accuracy may be lower by LOSS, and must be within AGREEMENT of the one that trainer export printed.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
LOSS = {"fp16": 0.001, "int8": 0.005}
AGREEMENT = 0.001


def mnist_images():
    import numpy as np

    content = gzip.decompress((ROOT / "nn/data/mnist/t10k-images-idx3-ubyte.gz").read_bytes())
    return np.frombuffer(content, np.uint8, offset=16).reshape(-1, 28, 28, 1)


def cifar_images(folder: Path):
    import numpy as np

    records = np.frombuffer((folder / "test_batch.bin").read_bytes(), np.uint8).reshape(-1, 3073)
    return np.ascontiguousarray(records[:, 1:].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1))


def program_answers(program: Path, run: Path, data: list[str]) -> tuple[list[str], list[str]]:
    """Returns the label and the program's answer for each test image."""
    out = subprocess.run([program, "evaluate", run, "-device", "cpu", "-csv", *data], capture_output=True, text=True, check=True).stdout
    rows = sorted(csv.DictReader(io.StringIO(out)), key=lambda row: int(row["image"]))
    return [row["label"] for row in rows], [row["answer"] for row in rows]


def runtime_answers(path: Path, images) -> list[str]:
    """Returns ONNX Runtime's answer for each image, by the names in the file's metadata."""
    import numpy as np
    import onnx
    import onnxruntime

    onnx.checker.check_model(str(path), full_check=True)
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    classes = json.loads(session.get_modelmeta().custom_metadata_map["classes"])
    answers = []
    for begin in range(0, len(images), 500):
        probabilities = session.run(["probabilities"], {"images": images[begin:begin + 500]})[0]
        answers += [classes[k] for k in np.argmax(probabilities, 1)]
    return answers


def check(program: Path, folder: Path, run: Path, data: list[str], images) -> int:
    labels, ours = program_answers(program, run, data)
    exact = sum(a == b for a, b in zip(labels, ours)) / len(labels)
    failed = 0
    for precision in ("fp32", "fp16", "int8"):
        path = folder / f"{run.name}-{precision}.onnx"
        printed = subprocess.run([program, "export", run, "-precision", precision, "-o", path, *(data if precision != "fp32" else [])],
                                 capture_output=True, text=True, check=True).stdout
        answers = runtime_answers(path, images)
        accuracy = sum(a == b for a, b in zip(labels, answers)) / len(labels)
        different = sum(a != b for a, b in zip(ours, answers))
        line = f"{run.name} {precision}: {path.stat().st_size:,} bytes, accuracy {accuracy:.2%} in ONNX Runtime, {different} of {len(ours)} answers differ from the program's"
        if precision == "fp32":
            good = different == 0
        else:
            predicted = float(re.search(r"accuracy ([0-9.]+)%", printed).group(1)) / 100
            line += f"; trainer export said {predicted:.2%}"
            good = accuracy >= exact - LOSS[precision] and abs(accuracy - predicted) <= AGREEMENT
        print(("" if good else "FAIL  ") + line, flush=True)
        failed += not good
    return failed


def check_all(folder: Path) -> int:
    program = folder / "trainer"
    subprocess.run([os.environ.get("GO", "go"), "build", "-o", program, "./cmd/trainer"], cwd=ROOT, check=True)
    train = [program, "-device", "cpu", "-quiet"]
    subprocess.run([*train, "-recipe", "mnist", "-data", "mnist", "-out", folder / "mnist"], check=True)
    failed = check(program, folder, folder / "mnist", ["-data", "mnist"], mnist_images())
    if not os.environ.get("CIFAR10"):
        print("skipped: cifar10-basic needs CIFAR-10: CIFAR10=DIR make export-peers")
        return 1 if failed else 0
    data = ["-data", "cifar10", "-data-dir", os.environ["CIFAR10"]]
    run = Path(os.environ.get("CIFAR10_RUN") or folder / "cifar10-basic")
    if not run.exists():
        subprocess.run([*train, "-recipe", "cifar10-basic", *data, "-epochs", "3", "-out", run], check=True)
    failed += check(program, folder, run, data, cifar_images(Path(os.environ["CIFAR10"])))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(check_all(Path(sys.argv[1])))
