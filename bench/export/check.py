"""Checks exported networks with the programs that they are exported for.

    python3 bench/export/check.py onnx       ONNX's checker and ONNX Runtime (45 MB of wheels)
    python3 bench/export/check.py accuracy   the same, of trained networks: the costs of fp16 and int8 (see accuracy.py)
    python3 bench/export/check.py torch      PyTorch (several gigabytes)
    python3 bench/export/check.py imports    PyTorch again: trainer import (see imports.py)

The wheels are installed once, into bench/export/.venv-onnx or .venv-torch. The program bench/export/cases writes networks with
random weights, images, and the probabilities that this project computes; the other program must compute the same to within
1e-4. For fp16 and int8 it writes the logits that it computes with the file's rounding. ONNX Runtime rounds at other places
or after other sums, so its logits may differ by a part of the largest one (ROUNDED); an int8 file must run with whole numbers.
"""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

FOLDER = Path(__file__).resolve().parent
ROOT = FOLDER.parent.parent
TOLERANCE = 1e-4
ROUNDED = {"fp16": 0.01, "int8": 0.05}


def environment(kind: str) -> Path | None:
    """Returns the Python of the virtual environment for a kind of check, which is made if it is missing; None if it can't be."""
    requirements = FOLDER / f"requirements-{kind}.txt"
    venv = FOLDER / f".venv-{kind}"
    python, stamp = venv / "bin/python", venv / "installed.txt"
    if stamp.exists() and stamp.read_text() == requirements.read_text():
        return python
    subprocess.run([sys.executable, "-m", "venv", str(venv)], check=True)
    pip = [str(python), "-m", "pip", "install", "--disable-pip-version-check", "--quiet", "--requirement", str(requirements)]
    if subprocess.run(pip).returncode != 0:
        return None
    stamp.write_text(requirements.read_text())
    return python


def check_onnx(folder: Path, case: dict, pixels, answers) -> float:
    import numpy as np
    import onnx
    import onnxruntime

    largest = 0.0
    normalized = (pixels.astype(np.float32) / 255 - np.array(case["mean"], np.float32)) / np.array(case["std"], np.float32)
    for name, images in ("model.onnx", pixels), ("normalized.onnx", np.ascontiguousarray(normalized.transpose(0, 3, 1, 2))):
        path = str(folder / name)
        onnx.checker.check_model(path, full_check=True)
        session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        for n in (len(images), 1):  # the batch is open
            got = session.run(["probabilities"], {"images": images[:n]})[0]
            largest = max(largest, float(np.abs(got - answers[:n]).max()))
    for name, tolerance in ROUNDED.items():
        check_rounded(folder, name, pixels, tolerance)
    return largest


def check_rounded(folder: Path, name: str, pixels, tolerance: float) -> None:
    import numpy as np
    import onnx
    import onnxruntime

    path = str(folder / f"{name}.onnx")
    onnx.checker.check_model(path, full_check=True)
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(folder / "optimized.onnx")
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    got = session.run(["logits"], {"images": pixels})[0]
    want = np.fromfile(folder / f"{name}.logits.bin", np.float32).reshape(got.shape)
    difference = float(np.abs(got - want).max() / np.abs(want).max())
    if not difference <= tolerance:
        raise ValueError(f"the logits in {name} differ by {difference:.2g} of the largest one")
    operators = {node.op_type for node in onnx.load(options.optimized_model_filepath).graph.node}
    if name == "int8" and operators & {"Conv", "Gemm"}:
        raise ValueError("ONNX Runtime computes a convolution or a dense layer of the int8 file in float32")


def check_torch(folder: Path, case: dict, pixels, answers) -> float:
    import numpy as np
    import torch

    spec = importlib.util.spec_from_file_location("exported", folder / "pytorch" / "model.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    got = module.probabilities(module.load(), torch.from_numpy(pixels)).numpy()
    return float(np.abs(got - answers).max())


def check_all(kind: str, folder: Path) -> int:
    import numpy as np

    failed = 0
    cases = sorted(folder.iterdir())
    worst = 0.0
    for path in cases:
        case = json.loads((path / "case.json").read_text())
        pixels = np.fromfile(path / "pixels.bin", np.uint8).reshape(case["n"], case["h"], case["w"], case["c"])
        answers = np.fromfile(path / "answers.bin", np.float32).reshape(case["n"], case["classes"])
        try:
            difference = {"onnx": check_onnx, "torch": check_torch}[kind](path, case, pixels, answers)
        except Exception as error:  # a file that the other program refuses is a failed case
            print(f"FAIL  {path.name}: {error}")
            failed += 1
            continue
        worst = max(worst, difference)
        if not difference <= TOLERANCE:
            print(f"FAIL  {path.name}: the probabilities differ by {difference:.2g}")
            failed += 1
    print(f"{len(cases) - failed} of {len(cases)} exported networks agree with {kind}; largest difference {worst:.1e}")
    return 1 if failed else 0


def main() -> int:
    if len(sys.argv) == 3:  # in the virtual environment
        return check_all(sys.argv[1], Path(sys.argv[2]))
    if len(sys.argv) != 2 or sys.argv[1] not in ("onnx", "accuracy", "torch", "imports"):
        print(__doc__, file=sys.stderr)
        return 2
    kind = sys.argv[1]
    script = {"imports": "imports.py", "accuracy": "accuracy.py"}.get(kind)
    python = environment({"imports": "torch", "accuracy": "onnx"}.get(kind, kind))
    if python is None:
        print("skipped: the wheels can't be had", file=sys.stderr)
        return 3
    with tempfile.TemporaryDirectory() as folder:
        if script:
            return subprocess.run([str(python), str(FOLDER / script), folder]).returncode
        subprocess.run([os.environ.get("GO", "go"), "run", "./bench/export/cases", folder], cwd=ROOT, check=True)
        return subprocess.run([str(python), __file__, kind, folder]).returncode


if __name__ == "__main__":
    sys.exit(main())
