"""Writes what was measured as Markdown."""

from __future__ import annotations

import datetime
import shlex
import sys
from collections.abc import Iterable
from pathlib import Path
from statistics import median

from comparison import Program, Row
from environment import Machine

DASH = "–"
TEXT = {"network", "program", "fastest other", "remark", "convolution", "pass", "pictures"}  # columns of words


def number(x: float) -> str:
    """A positive number with three digits or more."""
    return f"{x:,.0f}" if x >= 100 else f"{x:.1f}" if x >= 10 else f"{x:.2f}"


def spread(values: Iterable[float]) -> str:
    values = list(values)
    return f"{number(min(values))} to {number(max(values))}"


def megabytes(count: int) -> str:
    return f"{count / 1e6:,.0f}" if count else DASH


def lines_of(header: list[str], rows: list[list[str]]) -> list[str]:
    """A table. Columns of numbers are aligned to the right."""
    rule = ["---" if name in TEXT else "---:" for name in header]
    return ["| " + " | ".join(cells) + " |" for cells in [header, rule, *rows]]


def speeds(program: Program) -> list[float]:
    return [r.speed for r in program.rounds if r]


def speed(program: Program) -> float:
    """The median, in images per second; 0 if there is none."""
    return median(speeds(program)) if speeds(program) else 0.0


def best(candidates: list[Program]) -> Program | None:
    """The program with the highest median."""
    measured = [p for p in candidates if speeds(p)]
    return max(measured, key=speed) if measured else None


def best_of(row: Row, name: str) -> Program | None:
    return best([p for p in row.programs if p.command.name == name])


def best_peer(row: Row) -> Program | None:
    return best([p for p in row.programs if not p.ours])


def ratios(a: Program, b: Program) -> list[float]:
    """The ratio of the speeds of a and b in each round that has both."""
    return [x.speed / y.speed for x, y in zip(a.rounds, b.rounds) if x and y]


def ratio(a: Program, b: Program) -> str:
    values = ratios(a, b)
    return f"{median(values):.2f} ({min(values):.2f} to {max(values):.2f})" if values else DASH


def share_of_peak(program: Program) -> float:
    """The median share of the multiply-add peak that the training steps reached."""
    flops = program.ready["flops_per_image"]
    return median(r.speed * flops / r.peak for r in program.rounds if r and r.peak)


def without(args: list[str], options: list[str]) -> list[str]:
    """A command line without some options and their values: those that name files, which mean nothing on another
    machine."""
    left = []
    skip = False
    for arg in args:
        name, _, value = arg.partition("=")
        if not skip and name not in options:
            left.append(arg)
        skip = not skip and name in options and not value
    return left


def heading(machine: Machine, versions: list[str], rounds: int, seconds: float) -> list[str]:
    """What was measured, on which machine, and by which command."""
    today = datetime.date.today().isoformat()
    command = shlex.join(["bench/peers/run.py", *without(sys.argv[1:], ["-venv", "-out"])])
    facts = [
        ("date", today),
        ("processor", f"{machine.processor}, {machine.system}"),
        ("instruction sets", " ".join(machine.instructions) or "unknown"),
        ("trainer's kernels", machine.kind),
        ("threads", str(machine.threads)),
        ("versions", "; ".join([f"trainer {machine.version}", *versions])),
        ("command", f"`{command}`"),
        ("rounds", f"{rounds}, {seconds:g} s per measurement"),
    ]
    return ["| | |", "|---|---|", *(f"| {name} | {value} |" for name, value in facts), ""]


def busy(shares: list[float]) -> list[str]:
    """How much other processes used the machine, given one share per measurement."""
    if not shares:
        return []
    return [
        f"During the measurements, all other processes together used {100 * median(shares):.0f}% of the machine's "
        f"processors in the median, {100 * max(shares):.0f}% at most.",
        "",
    ]


SUMMARY = ["network", "batch", "trainer, images/s", "fastest other", "its images/s", "trainer / fastest other",
           "trainer, % of peak", "MB: trainer", "PyTorch", "TensorFlow"]


def summary_cells(row: Row) -> list[str]:
    mine, peer = row.programs[0], best_peer(row)
    memory = [mine, best_of(row, "PyTorch"), best_of(row, "TensorFlow")]
    return [
        f"`{row.key}`",
        str(mine.ready["batch"]),
        number(speed(mine)),
        peer.command.label if peer else DASH,
        number(speed(peer)) if peer else DASH,
        f"**{ratio(mine, peer)}**" if peer else DASH,
        f"{100 * share_of_peak(mine):.0f}%",
        *(megabytes(p.memory) if p else DASH for p in memory),
    ]


def program_cells(program: Program, ours: Program) -> list[str]:
    values = speeds(program)
    return [
        program.command.label,
        number(speed(program)) if values else DASH,
        spread(values) if values else DASH,
        DASH if program is ours or not values else ratio(ours, program),
        megabytes(program.memory),
        program.remark.replace("|", "\\|"),
    ]


def section(row: Row) -> list[str]:
    """All programs of a network."""
    mine = row.programs[0]
    lines = [
        f"## {row.key}",
        "",
        f"{row.description}; batch {mine.ready['batch']}, {mine.ready['parameters']:,} trained parameters, "
        f"{mine.ready['flops_per_image'] / 1e6:.2f} MFLOP per image and training step.",
        "",
        *lines_of(
            ["program", "images/s", "min to max", "trainer / program", "peak MB", "remark"],
            [program_cells(p, mine) for p in row.programs],
        ),
        "",
    ]
    for other in row.programs[1:]:
        if other.ours and speeds(other):
            lines += [f"Trainer on all threads relative to one thread: {ratio(mine, other)}.", ""]
    return lines


READING = (
    "Medians over the rounds. The programs are separate processes that took turns, so that anything that slows the machine "
    "slows all of them; ratios are medians of the rounds' ratios, with minimum and maximum. *% of peak* is the rate of "
    "operations of the convolutions and dense layers, forward and backward, as textbooks count them, relative to the "
    "multiply-add peak measured after each measurement; Winograd's method needs fewer operations and can exceed 100%. MB "
    "is the peak memory of the process; in the first table, of each framework's fastest mode. Method: "
    "[bench/peers](../../bench/peers/README.md)."
)


def versions_of(rows: list[Row]) -> list[str]:
    found = {p.ready["name"]: p.ready["version"] for row in rows for p in row.programs if p.ready and not p.ours}
    return [f"{name} {version}" for name, version in found.items()]


def training(machine: Machine, rows: list[Row], rounds: int, seconds: float) -> str:
    """The file about training steps."""
    lines = ["# Training steps compared with PyTorch and TensorFlow", ""]
    lines += heading(machine, versions_of(rows), rounds, seconds)
    shares = [r.others for row in rows for p in row.programs for r in p.rounds if r and r.others is not None]
    lines += [READING, "", *busy(shares), *lines_of(SUMMARY, [summary_cells(row) for row in rows]), ""]
    for row in rows:
        lines += section(row)
    return "\n".join(lines).rstrip() + "\n"


def write(path: Path, text: str) -> None:
    """Replaces the file as a whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".partial")
    part.write_text(text, encoding="utf-8")
    part.replace(path)
