"""Measures how fast a folder of pictures is read, by this project's loader and by those of the other frameworks in turn,
round after round."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

import environment
import table
from environment import Machine
from processes import Answer, Command, Load, Worker, WorkerError, wait_for_quiet

FOLDER = Path(__file__).resolve().parent


@dataclass
class Case:
    """Pictures and the size of the images that they become."""

    count: int  # of different ones
    copies: int
    height: int
    width: int
    size: int


# The pictures of a photo archive and of a camera.
CASES = {
    "500x375-64": Case(64, 16, 375, 500, 64),
    "500x375-224": Case(64, 16, 375, 500, 224),
    "4000x3000-224": Case(8, 32, 3000, 4000, 224),
}


@dataclass
class Result:
    """A program's rates for a case, one per round."""

    case: str
    command: Command
    ready: Answer = field(default_factory=dict)
    rates: list[float] = field(default_factory=list)  # images per second
    cpu: list[float] = field(default_factory=list)  # processor seconds per image
    others: list[float] = field(default_factory=list)
    remark: str = ""


def make(case: Case, python: Path, folder: Path) -> Path:
    """Makes the pictures of a case in a folder, or finds those of another case of the same size."""
    pictures = folder / f"pictures-{case.width}x{case.height}"
    if not pictures.exists():
        print(f"making {case.count} pictures of {case.width}x{case.height}", flush=True)
        args = [str(python), str(FOLDER / "peer_loading.py"), "--mode", "make", "--pictures", str(pictures)]
        args += ["--count", str(case.count), "--copies", str(case.copies), "--height", str(case.height), "--width", str(case.width)]
        environment.command(args, "making pictures")
    return pictures


def group_seconds(group: int) -> float:
    """The processor seconds of all processes of a group so far; 0 if the system doesn't tell."""
    ticks = 0
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue  # it has ended
        if int(fields[2]) == group:
            ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def measure(name: str, commands: list[Command], folder: Path, rounds: int, seconds: float, wait: float) -> list[Result]:
    """Measures all programs in each round, each round beginning with another one. A program that fails gets a remark."""
    results = [Result(name, c) for c in commands]
    workers = [Worker(c, folder) for c in commands]
    try:
        for result, worker in zip(results, workers):
            try:
                result.ready = worker.start()
            except WorkerError as error:
                result.remark = str(error)
        for turn in range(rounds):
            for i in range(len(results)):
                k = (turn + i) % len(results)
                if not results[k].remark:
                    ask(results[k], workers[k], seconds, wait)
                say(turn, rounds, results[k])
    finally:
        for worker in workers:
            worker.kill()
    return results


def ask(result: Result, worker: Worker, seconds: float, wait: float) -> None:
    """Measures a program once."""
    group = worker.process.pid
    wait_for_quiet(wait)
    load, before = Load(group), group_seconds(group)
    try:
        answer = worker.ask(f"measure {seconds}", seconds)
    except WorkerError as error:
        result.remark = str(error)
        return
    took = group_seconds(group) - before
    result.rates.append(answer["images_per_second"])
    result.cpu.append(took / answer["read"])
    end = load.read()
    if end and load.begin:
        others = (end[0] - load.begin[0] - took) / (time.monotonic() - load.time) / (os.cpu_count() or 1)
        result.others.append(min(max(others, 0.0), 1.0))


def say(turn: int, rounds: int, result: Result) -> None:
    speed = result.remark or f"{result.rates[-1]:8,.0f} images/s, {1e3 * result.cpu[-1]:6.2f} ms of processor time per image"
    print(f"{turn + 1}/{rounds}  {result.case:<14} {result.command.label:<40} {speed}"[:150], flush=True)


READING = (
    "Pictures of noise with detail of all sizes, JPEG of quality 90 with chroma in 4:2:0, are decoded, cropped to a square, "
    "resized and put into batches of 64; no decoded picture is kept. Each program has as many workers as the machine has "
    "threads. *Draft* is Pillow's way to decode at a smaller scale, which data sets use only where somebody asks for it. "
    "Medians over the rounds, in which the programs took turns; ratios are medians of the rounds' ratios, with minimum and "
    "maximum. Processor time is that of all processes of a program, and depends less on what else the machine does than "
    "images per second. Method: [bench/peers](../../bench/peers/README.md)."
)

HEADER = ["pictures", "program", "images/s", "min to max", "trainer / program", "ms of processor time per image",
          "their processor time / trainer's", "remark"]


def cells(result: Result, ours: Result) -> list[str]:
    """A line of the table."""
    name = [result.case.replace("-", " to "), result.command.label]
    if not result.rates:
        return [*name, *[table.DASH] * 5, result.remark.replace("|", "\\|")]
    faster = [a / b for a, b in zip(ours.rates, result.rates)]
    cheaper = [b / a for a, b in zip(ours.cpu, result.cpu)]
    return [
        *name, table.number(median(result.rates)), table.spread(result.rates), ratio(faster, result is ours),
        f"{1e3 * median(result.cpu):.2f}", ratio(cheaper, result is ours), result.remark,
    ]


def ratio(values: list[float], is_ours: bool) -> str:
    return table.DASH if is_ours or not values else f"{median(values):.2f} ({min(values):.2f} to {max(values):.2f})"


def text(machine: Machine, results: list[Result], rounds: int, seconds: float) -> str:
    """The file about reading pictures."""
    versions = list(dict.fromkeys(f"{r.ready['name']} {r.ready['version']}" for r in results if r.ready and r.command.name != "trainer"))
    lines = ["# Reading pictures compared with PyTorch and TensorFlow", ""]
    lines += table.heading(machine, versions, rounds, seconds)
    lines += [READING, "", *table.busy([x for r in results for x in r.others])]
    first = {r.case: r for r in reversed(results)}
    lines += table.lines_of(HEADER, [cells(r, first[r.case]) for r in results])
    return "\n".join(lines) + "\n"
