"""The requirements of the measurements: Python, the other frameworks in a virtual environment, this project's worker; and
the description of the machine."""

from __future__ import annotations

import json
import os
import platform
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).resolve().parent
ROOT = FOLDER.parent.parent
REQUIREMENTS = FOLDER / "requirements.txt"

# The versions of Python for which all of requirements.txt has wheels.
OLDEST, NEWEST = (3, 11), (3, 13)


class SetupError(Exception):
    """A missing requirement; the message names it, on one line."""


def check_python() -> None:
    """Fails unless the other frameworks have wheels for this version of Python."""
    have = sys.version_info[:2]
    if not OLDEST <= have <= NEWEST:
        raise SetupError(
            "this is Python %d.%d, and the wheels of PyTorch and TensorFlow in requirements.txt need %d.%d to %d.%d: "
            "use another, as in make bench-peers PYTHON=python%d.%d" % (*have, *OLDEST, *NEWEST, *NEWEST)
        )


def virtual_environment(folder: Path, requirements: Path = REQUIREMENTS, size: str = "several gigabytes") -> Path:
    """Makes the virtual environment if it is missing or the requirements have changed. Returns its Python."""
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    stamp = folder / "installed.txt"
    wanted = requirements.read_text()
    if python.exists() and stamp.exists() and stamp.read_text() == wanted:
        return python
    print(f"installing {', '.join(wanted.split())} in {folder}: {size}, only once", flush=True)
    if not python.exists():
        command([sys.executable, "-m", "venv", str(folder)], "making the virtual environment")
    pip = [str(python), "-m", "pip", "install", "--disable-pip-version-check", "--quiet"]
    command([*pip, "--requirement", str(requirements)], f"installing {requirements.name}")
    stamp.write_text(wanted)
    return python


def command(args: list[str], doing: str) -> str:
    """Runs a program in the root of the project and returns its output."""
    try:
        done = subprocess.run(args, cwd=ROOT, check=True, text=True, stdout=subprocess.PIPE)
    except FileNotFoundError:
        raise SetupError(f"{doing}: program {args[0]} not found") from None
    except subprocess.CalledProcessError as error:
        raise SetupError(f"{doing}: {Path(args[0]).name} ended with status {error.returncode}") from None
    return done.stdout.strip()


def version() -> str:
    """The commit that is measured, as git describes it."""
    if shutil.which("git") is None:
        return "unknown"
    args = ["git", "describe", "--tags", "--always", "--dirty"]
    done = subprocess.run(args, cwd=ROOT, text=True, capture_output=True)
    return done.stdout.strip() or "unknown"


def build_worker(folder: Path, package: str = "./bench/peers/worker", name: str = "worker", tags: str = "") -> Path:
    """Builds a worker of this project in a folder."""
    program = folder / (name + ".exe" if os.name == "nt" else name)
    flags = f"-X main.version={version()}"
    go = os.environ.get("GO", "go")
    command([go, "build", "-trimpath", "-tags", tags, "-ldflags", flags, "-o", str(program), package], "building the worker")
    return program


@dataclass
class Machine:
    """The machine and this project's build, for the table."""

    processor: str
    instructions: list[str]  # vector instruction sets that the system reports
    system: str
    kind: str  # the instruction set that the worker's kernels use
    threads: int
    version: str


def describe(worker: Path, threads: int | None) -> Machine:
    """Asks the worker and the system. Without threads, the worker uses all cores."""
    args = [str(worker), "-info"] + ([f"-threads={threads}"] if threads is not None else [])
    info = json.loads(command(args, "asking the worker"))
    cpuinfo = Path("/proc/cpuinfo")
    text = cpuinfo.read_text() if cpuinfo.exists() else ""
    name = re.search(r"^model name\s*:\s*(.+)$", text, re.MULTILINE)
    flags = re.search(r"^(?:flags|Features)\s*:\s*(.+)$", text, re.MULTILINE)
    return Machine(
        processor=name[1].strip() if name else info["device"],
        instructions=[f for f in flags[1].split() if re.match(r"(avx|fma|amx|asimd|sve)", f)] if flags else [],
        system=f"{platform.system()} {platform.machine()}",
        kind=info["kind"],
        threads=info["threads"],
        version=info["version"],
    )
