#!/usr/bin/env python3
"""Compares this project's numbers with ONNX's tests and with PyTorch in float64. See README.md."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

FOLDER = Path(__file__).resolve().parent
sys.path.append(str(FOLDER.parent / "peers"))  # after this folder

import environment  # noqa: E402
import results  # noqa: E402

# Each part's program, requirements and the size of its download.
PARTS = {
    "onnx": ("onnx_cases.py", "requirements-onnx.txt", "some 40 megabytes"),
    "torch": ("torch_cases.py", "requirements-torch.txt", "several gigabytes"),
}
INSTRUCTIONS = ["avx512", "avx2", "generic"]  # values of TRAINER_CPU
NO_ASSEMBLY = "noasm"  # the build tag


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-parts", default="onnx,torch", help="parts to run (default onnx,torch)")
    parser.add_argument("-prepare", action="store_true", help="only install the packages")
    parser.add_argument("-sets", default=",".join([*INSTRUCTIONS, NO_ASSEMBLY]), help="instruction sets, if the machine has them (default all)")
    parser.add_argument("-at-least", type=int, default=0, metavar="N", help="fail unless N of ONNX's cases pass")
    parser.add_argument("-seed", type=int, default=1, help="seed of the random cases (default 1)")
    parser.add_argument("-share", type=float, default=1.0, help="share of the random cases to run (default 1)")
    parser.add_argument("-out", type=Path, help="file for the tables, Markdown")
    args = parser.parse_args()
    args.parts, args.sets = args.parts.split(","), args.sets.split(",")
    for name in args.parts:
        if name not in PARTS:
            parser.error(f"unknown part {name}, want onnx or torch")
    for name in args.sets:
        if name not in (*INSTRUCTIONS, NO_ASSEMBLY):
            parser.error(f"unknown instruction set {name}, want {', '.join([*INSTRUCTIONS, NO_ASSEMBLY])}")
    return args


def build(sets: list[str], folder: Path) -> dict[str, Path]:
    """The program for each instruction set that this machine has."""
    package = "./bench/conformance/worker"
    programs = {}
    worker = environment.build_worker(folder, package)
    for name in sets:
        if name == NO_ASSEMBLY:
            programs[name] = environment.build_worker(folder, package, "worker-noasm", NO_ASSEMBLY)
        elif subprocess.run([worker], env={**os.environ, "TRAINER_CPU": name}, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode == 0:
            programs[name] = worker
        else:
            print(f"skipped: this machine has no {name}")
    if not programs:
        raise environment.SetupError("this machine has none of the instruction sets")
    return programs


def run_part(name: str, python: Path, programs: dict[str, Path], args: argparse.Namespace, folder: Path) -> dict:
    """Runs a part's program in its virtual environment and returns its results."""
    script, out = PARTS[name][0], folder / f"{name}.json"
    command = [str(python), str(FOLDER / script), "-out", str(out), *(f"-worker={k}={v}" for k, v in programs.items())]
    if name == "torch":
        command += [f"-seed={args.seed}", f"-share={args.share}"]
    environment.command(command, f"running {script}")
    return json.loads(out.read_text())


def failed(parts: dict[str, dict], at_least: int) -> list[str]:
    """What is wrong, if anything."""
    wrong = []
    for name, outcomes in parts.get("onnx", {}).get("outcomes", {}).items():
        counts = results.onnx_counts(outcomes)
        if counts["failed"] or counts["passed"] < at_least:
            wrong.append(f"ONNX, {name}: {counts['passed']} passed, {counts['failed']} failed (at least {at_least} must pass)")
    if "torch" in parts and results.torch_failed(parts["torch"]):
        wrong.append(f"PyTorch: {results.torch_failed(parts['torch'])} cases failed")
    return wrong


def main() -> int:
    args = arguments()
    try:
        environment.check_python()
        pythons = {
            name: environment.virtual_environment(FOLDER / f".venv-{name}", FOLDER / PARTS[name][1], PARTS[name][2]) for name in args.parts
        }
        if args.prepare:
            return 0
        with tempfile.TemporaryDirectory() as temporary:
            programs = build(args.sets, Path(temporary))
            parts = {name: run_part(name, pythons[name], programs, args, Path(temporary)) for name in args.parts}
    except environment.SetupError as e:
        print(f"conformance: {e}", file=sys.stderr)
        return 1
    command = " ".join(["bench/conformance/run.py", *sys.argv[1:]])
    text = results.document(parts, list(programs), command)
    print(text)
    if args.out:
        args.out.parent.mkdir(parents=True, exist_ok=True)
        args.out.write_text(text, encoding="utf-8")
    wrong = failed(parts, args.at_least)
    for line in wrong:
        print(f"conformance: {line}", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
