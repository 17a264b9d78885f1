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
TEXT = {"network", "program", "best peer", "remark", "convolution", "pass"}  # columns of words


def number(x: float) -> str:
    """Three digits or more of a positive number."""
    return f"{x:,.0f}" if x >= 100 else f"{x:.1f}" if x >= 10 else f"{x:.2f}"


def spread(values: Iterable[float]) -> str:
    values = list(values)
    return f"{number(min(values))} to {number(max(values))}"


def megabytes(count: int) -> str:
    return f"{count / 1e6:,.0f}" if count else DASH


def lines_of(header: list[str], rows: list[list[str]]) -> list[str]:
    """A table. Columns of numbers stand to the right."""
    rule = ["---" if name in TEXT else "---:" for name in header]
    return ["| " + " | ".join(cells) + " |" for cells in [header, rule, *rows]]


def speeds(program: Program) -> list[float]:
    return [r.speed for r in program.rounds if r]


def speed(program: Program) -> float:
    """The median, in images a second; 0 where there is none."""
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
    """The speed of a over that of b in each round that has both."""
    return [x.speed / y.speed for x, y in zip(a.rounds, b.rounds) if x and y]


def ratio(a: Program, b: Program) -> str:
    values = ratios(a, b)
    return f"{median(values):.2f} ({min(values):.2f} to {max(values):.2f})" if values else DASH


def share_of_peak(program: Program) -> float:
    """The median share of the multiply-add peak that the products of the steps reached."""
    flops = program.ready["flops_per_image"]
    return median(r.speed * flops / r.peak for r in program.rounds if r and r.peak)


def without(args: list[str], options: list[str]) -> list[str]:
    """A command line without some options and their values: those that only say where files
    are, and have no meaning on another machine."""
    left = []
    skip = False
    for arg in args:
        name, _, value = arg.partition("=")
        if not skip and name not in options:
            left.append(arg)
        skip = not skip and name in options and not value
    return left


def heading(machine: Machine, versions: list[str], rounds: int, seconds: float) -> list[str]:
    """What was measured, where, and by which command."""
    today = datetime.date.today().isoformat()
    command = shlex.join(["bench/peers/run.py", *without(sys.argv[1:], ["-venv", "-out"])])
    facts = [
        ("date", today),
        ("processor", f"{machine.processor}, {machine.system}"),
        ("instruction sets", " ".join(machine.instructions) or "not told by the system"),
        ("kernels of trainer", machine.kind),
        ("threads", str(machine.threads)),
        ("versions", "; ".join([f"trainer {machine.version}", *versions])),
        ("command", f"`{command}`"),
        ("rounds", f"{rounds}, of {seconds:g} s a measurement"),
    ]
    return ["| | |", "|---|---|", *(f"| {name} | {value} |" for name, value in facts), ""]


def busy(shares: list[float]) -> list[str]:
    """How much others used the machine, a share a measurement."""
    if not shares:
        return []
    return [
        f"While a program was measured, all other processes together used {100 * median(shares):.0f}% of the "
        f"machine's processors in the median, {100 * max(shares):.0f}% at most.",
        "",
    ]


SUMMARY = ["network", "batch", "trainer, images/s", "best peer", "its images/s", "trainer / best peer",
           "trainer, of peak", "MB: trainer", "PyTorch", "TensorFlow"]


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
        f"{mine.ready['flops_per_image'] / 1e6:.2f} MFLOP an image and training step.",
        "",
        *lines_of(
            ["program", "images/s", "min to max", "trainer's speed / its", "MB at most", "remark"],
            [program_cells(p, mine) for p in row.programs],
        ),
        "",
    ]
    for other in row.programs[1:]:
        if other.ours and speeds(other):
            lines += [f"Trainer on all threads over one thread: {ratio(mine, other)}.", ""]
    return lines


READING = (
    "Medians over the rounds. The programs took turns, each a process of its own, so that what slows the machine "
    "slows all of them: ratios are medians of the rounds' ratios, with the least and the greatest. *Of peak* is the speed "
    "in operations of the convolutions and dense layers, forward and backward, as the textbook counts them, over the "
    "multiply-add peak measured after each measurement; Winograd's method needs fewer, so that it can pass 100%. MB is "
    "the most that the process ever had in memory; in the first table that of the peer's fastest mode. How it is "
    "measured: [bench/peers](../../bench/peers/README.md)."
)


def versions_of(rows: list[Row]) -> list[str]:
    found = {p.ready["name"]: p.ready["version"] for row in rows for p in row.programs if p.ready and not p.ours}
    return [f"{name} {version}" for name, version in found.items()]


def training(machine: Machine, rows: list[Row], rounds: int, seconds: float) -> str:
    """The whole file of the comparison of training steps."""
    lines = ["# Training steps beside PyTorch and TensorFlow", ""]
    lines += heading(machine, versions_of(rows), rounds, seconds)
    shares = [r.others for row in rows for p in row.programs for r in p.rounds if r and r.others is not None]
    lines += [READING, "", *busy(shares), *lines_of(SUMMARY, [summary_cells(row) for row in rows]), ""]
    for row in rows:
        lines += section(row)
    return "\n".join(lines).rstrip() + "\n"


def write(path: Path, text: str) -> None:
    """Writes the file whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".partial")
    part.write_text(text, encoding="utf-8")
    part.replace(path)
