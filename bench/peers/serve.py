#!/usr/bin/env python3
"""Compares POST /predict of trainer serve with servers in Python that use ONNX Runtime and PyTorch, on the same cores.

    bench/peers/serve.py                            # trains MNIST, installs the libraries once, writes the table
    bench/peers/serve.py -rounds 1 -seconds 2       # a short one
    bench/peers/serve.py -model RUN -pictures DIR   # another network and PNG files for it
    bench/peers/serve.py -python PYTHON             # a Python that has the libraries already

All servers answer the same pictures by the same weights; before anything is measured, their answers are compared. Servers and clients
share the cores. Servers take turns for some rounds, each round beginning with another one; those that wait are stopped (SIGSTOP).
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import platform
import signal
import struct
import subprocess
import sys
import tempfile
import time
import zlib
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from statistics import median
from typing import Any

from environment import FOLDER, ROOT, SetupError, build_worker, command, version, virtual_environment

REQUIREMENTS = FOLDER / "requirements-serve.txt"
CLIENTS = [1, 200]
BATCH = 64
TOLERANCE = 1e-4  # of a probability
CHECKED = 500  # pictures whose answers are compared
START = 120.0  # seconds until a server answers


@dataclass
class Server:
    """A server process."""

    name: str
    args: list[str]
    process: subprocess.Popen[str] | None = None
    url: str = ""
    measured: dict[int, list[dict[str, float]]] = field(default_factory=dict)  # by clients, one per round

    def start(self, cores: set[int]) -> None:
        self.process = subprocess.Popen(
            self.args, text=True, stdout=subprocess.PIPE, start_new_session=True, env={**os.environ, "CUDA_VISIBLE_DEVICES": ""},
            preexec_fn=lambda: os.sched_setaffinity(0, cores),
        )
        assert self.process.stdout
        self.url = self.process.stdout.readline().strip()
        if not self.url:
            raise SetupError(f"{self.name}: the server ended with status {self.process.wait()}")
        self.url += "predict"

    def signal(self, name: str) -> None:
        assert self.process
        os.killpg(self.process.pid, getattr(signal, name))

    def cpu_seconds(self) -> float:
        """The processor time of the process and its threads."""
        assert self.process
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def peak_bytes(self) -> int:
        """The most memory that the process has had, libraries included."""
        assert self.process
        for line in Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
        return 0

    def close(self) -> None:
        if self.process:
            self.signal("SIGCONT")
            self.process.terminate()
            self.process.wait()


def write_png(path: Path, pixels: bytes, size: int) -> None:
    """Writes a gray picture of size x size pixels as PNG."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    rows = b"".join(b"\0" + pixels[i * size : (i + 1) * size] for i in range(size))
    header = struct.pack(">IIBBBBB", size, size, 8, 0, 0, 0, 0)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))


def mnist_pictures(folder: Path, count: int) -> None:
    """Writes the first images of MNIST's test set."""
    file = next((ROOT / "nn/data/mnist").glob("t10k-images*"))
    content = gzip.decompress(file.read_bytes()) if file.suffix == ".gz" else file.read_bytes()
    folder.mkdir()
    for n in range(count):
        write_png(folder / f"{n:05}.png", content[16 + n * 784 : 16 + (n + 1) * 784], 28)


def prepare(args: argparse.Namespace, work: Path) -> tuple[list[Server], Path, Path]:
    """Builds and exports everything. Returns the servers, the clients' program and the pictures."""
    trainer = build_worker(work, "./cmd/trainer", "trainer")
    clients = build_worker(work, "./bench/peers/clients", "clients")
    python = Path(args.python) if args.python else virtual_environment(FOLDER / ".venv-serve", REQUIREMENTS)
    model, pictures = args.model, args.pictures
    if not model:
        model = str(work / "mnist")
        command([str(trainer), "-recipe", "mnist", "-device", "cpu", "-quiet", "-out", model], "training the network")
    if not pictures:
        pictures = str(work / "pictures")
        mnist_pictures(Path(pictures), CHECKED)
    command([str(trainer), "export", model, "-o", str(work / "model.onnx")], "exporting to ONNX")
    command([str(trainer), "export", model, "-to", "pytorch", "-o", str(work / "pytorch")], "exporting to PyTorch")
    info = metadata(Path(model) / "model.safetensors" if Path(model).is_dir() else Path(model))
    shape, classes = shape_of(info), info["classes"]
    threads = str(len(args.cores))

    def peer(engine: str, path: str, batch: int) -> list[str]:
        return [
            str(python), str(FOLDER / "serve_python.py"), "--engine", engine, "--model", str(work / path), "--shape", shape,
            "--classes", classes, "--threads", threads, "--batch", str(batch),
        ]

    return [
        Server("trainer serve", [str(trainer), "serve", "-device", "cpu", "-threads", threads, "-batch", str(BATCH), "-listen", "127.0.0.1:0", model]),
        Server("ONNX Runtime, batched", peer("onnxruntime", "model.onnx", BATCH)),
        Server("ONNX Runtime, plain", peer("onnxruntime", "model.onnx", 1)),
        Server("PyTorch, batched", peer("torch", "pytorch", BATCH)),
        Server("PyTorch, plain", peer("torch", "pytorch", 1)),
    ], clients, Path(pictures)


def metadata(model: Path) -> dict[str, str]:
    """The metadata of a safetensors file."""
    with model.open("rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        return json.loads(file.read(length))["__metadata__"]


def shape_of(info: dict[str, str]) -> str:
    """Height, width and channels of the network's images."""
    images = json.loads(info["images"])
    return f"{images['height']},{images['width']},{images['channels']}"


def ask(clients: Path, server: Server, cores: set[int], *args: str) -> dict[str, Any]:
    """Lets clients ask a server, which is woken for it."""
    server.signal("SIGCONT")
    done = subprocess.run(
        [str(clients), "-url", server.url, *args], text=True, capture_output=True, preexec_fn=lambda: os.sched_setaffinity(0, cores),
    )
    server.signal("SIGSTOP")
    if done.returncode:
        raise SetupError(f"{server.name}: {done.stderr.strip()}")
    return json.loads(done.stdout)


def compare(servers: list[Server], clients: Path, pictures: Path, cores: set[int]) -> str:
    """Compares the answers of all servers with the first one's, and says by how much they differ."""
    all_answers = [ask(clients, s, cores, "-pictures", str(pictures), "-answers")["answers"] for s in servers]
    most = 0.0
    for server, answers in zip(servers[1:], all_answers[1:]):
        for n, (a, b) in enumerate(zip(all_answers[0], answers)):
            difference = abs(a["probability"] - b["probability"])
            if a["class"] != b["class"] or difference > TOLERANCE:
                raise SetupError(f"{server.name} answers picture {n} with {b}, {servers[0].name} with {a}")
            most = max(most, difference)
    return f"{len(all_answers[0])} pictures get the same class from all servers, and probabilities that differ by {most:.1g} at most"


def measure(server: Server, clients: Path, pictures: Path, n: int, seconds: float, cores: set[int]) -> dict[str, float]:
    """One measurement: pictures per second, the server's processor time, and the times of the answers."""
    before = server.cpu_seconds()
    got = ask(clients, server, cores, "-pictures", str(pictures), "-clients", str(n), "-duration", f"{seconds}s")
    if got["failed"]:
        raise SetupError(f"{server.name}, {n} clients: {got['failed']} requests failed, the first: {got['failure']}")
    return {
        "speed": got["pictures"] / got["seconds"], "cpu": (server.cpu_seconds() - before) / got["pictures"],
        "median": got["median_seconds"], "slow": got["p99_seconds"],
    }


def table(servers: list[Server], args: argparse.Namespace, agreement: str, machine: str, load: float) -> str:
    """The results as Markdown."""

    def middle(server: Server, n: int, key: str) -> float:
        return median(m[key] for m in server.measured[n])

    def ratio(server: Server, n: int, key: str) -> str:
        """The median over the rounds of this server's number and ours, and the range."""
        ratios = [m[key] / ours[key] for m, ours in zip(server.measured[n], servers[0].measured[n])]
        return f"{median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"

    lines = [
        "# POST /predict beside ONNX Runtime and PyTorch", "",
        f"Written by `bench/peers/serve.py` on {date.today()}, trainer {version()}: {machine}. {args.rounds} rounds of {args.seconds:g} s, in turns.",
        f"Other programs used {load:.0%} of the cores before the first round" + (": read the ratios and the processor time, not the rates." if load > 0.1 else "."), "",
        f"{agreement}.", "",
        "| server | clients | pictures/s | ratio to trainer | processor ms per picture | ratio to trainer | answer after, median | 99% | MB |",
        "|---|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for n in CLIENTS:
        for s in servers:
            lines.append(
                f"| {s.name} | {n} | {middle(s, n, 'speed'):,.0f} | {ratio(s, n, 'speed')} | {1e3 * middle(s, n, 'cpu'):.3f} | {ratio(s, n, 'cpu')} "
                f"| {1e3 * middle(s, n, 'median'):.2f} ms | {1e3 * middle(s, n, 'slow'):.2f} ms | {s.peak_bytes() / 1e6:,.0f} |"
            )
    lines += [
        "", "The clients are one program on the same cores, with a connection each, and PNG files of 28x28 pixels from MNIST's test set unless `-pictures` names others. "
        "*plain* computes one picture per pass, *batched* up to 64 that arrived during the pass before, as `trainer serve` does. The servers in Python use uvicorn with httptools and "
        "uvloop, and Pillow. A ratio is the median over the rounds, with their range; above 1 in pictures/s means more than trainer. MB is the most memory of the process.", "",
    ]
    return "\n".join(lines)


def busy(cores: set[int]) -> float:
    """The share of the cores that other programs use now."""

    def idle_and_all() -> tuple[int, int]:
        rows = [line.split() for line in Path("/proc/stat").read_text().splitlines() if line[:3] == "cpu" and line[3:4].isdigit()]
        rows = [r for r in rows if int(r[0][3:]) in cores]
        return sum(int(r[4]) + int(r[5]) for r in rows), sum(sum(map(int, r[1:9])) for r in rows)

    idle, total = idle_and_all()
    time.sleep(1)
    idle2, total2 = idle_and_all()
    return 1 - (idle2 - idle) / max(1, total2 - total)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("-rounds", type=int, default=5)
    parser.add_argument("-seconds", type=float, default=10.0, help="of a measurement")
    parser.add_argument("-model", default="", help="a run or a model (default: mnist, trained first)")
    parser.add_argument("-pictures", default="", help="folder of PNG files (default: of MNIST's test set)")
    parser.add_argument("-python", default="", help="a Python with requirements-serve.txt (default: .venv-serve, made once)")
    parser.add_argument("-cores", default="", help="as in 0,1 (default: those of this process)")
    parser.add_argument("-out", default=str(ROOT / "docs/results/peers-serve.md"))
    args = parser.parse_args()
    args.cores = {int(c) for c in args.cores.split(",")} if args.cores else os.sched_getaffinity(0)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("serve.py: stopped"))  # which closes the servers
    servers: list[Server] = []
    with tempfile.TemporaryDirectory() as folder:
        try:
            work = Path(folder)
            servers, clients, pictures = prepare(args, work)
            for s in servers:
                s.start(args.cores)
                s.signal("SIGSTOP")
                print(f"{s.name} is ready", flush=True)
            agreement = compare(servers, clients, pictures, args.cores)
            print(agreement, flush=True)
            load = busy(args.cores)
            for s in servers:  # warm
                for n in CLIENTS:
                    measure(s, clients, pictures, n, min(1.0, args.seconds), args.cores)
            for round_ in range(args.rounds):
                for n in CLIENTS:
                    for i in range(len(servers)):
                        s = servers[(i + round_) % len(servers)]
                        m = measure(s, clients, pictures, n, args.seconds, args.cores)
                        s.measured.setdefault(n, []).append(m)
                        print(f"round {round_ + 1}, {n} clients, {s.name}: {m['speed']:,.0f} pictures/s, {1e3 * m['cpu']:.3f} ms", flush=True)
            machine = f"{processor()}, {len(args.cores)} cores, {platform.system()} {platform.machine()}"
            text = table(servers, args, agreement, machine, load)
        except SetupError as error:
            sys.exit(f"serve.py: {error}")
        finally:
            for s in servers:
                s.close()
    Path(args.out).write_text(text)
    print(text)


def processor() -> str:
    """The name of the processor."""
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor()


if __name__ == "__main__":
    main()
