"""Measures single convolutions, ours and oneDNN's in turn, round after round."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

import programs
import table
from comparison import PEAK_SECONDS
from environment import Machine
from processes import Answer, Command, Worker, WorkerError, ask_undisturbed

SHAPES = Path(__file__).resolve().parent / "convolutions.json"
PASSES = ["forward", "backward-data", "backward-filter"]


@dataclass
class Case:
    """One pass of a convolution, and its rates in floating-point operations per second, one per round."""

    shape: Answer
    ours: list[float] = field(default_factory=list)
    peer: list[float] = field(default_factory=list)
    peak: list[float] = field(default_factory=list)
    others: list[float] = field(default_factory=list)  # share of the processors that others used
    remark: str = ""

    @property
    def name(self) -> str:
        s = self.shape
        return f"{s['n']} x {s['size']}x{s['size']}x{s['in']} to {s['out']}, {s['kernel']}x{s['kernel']}"


def networks() -> list[str]:
    """The networks that the shapes come from."""
    return list(dict.fromkeys(s["network"] for s in json.loads(SHAPES.read_text())))


def cases(rows: list[str]) -> list[Case]:
    """All passes of the convolutions of some networks. A first layer has no backward pass for the data."""
    return [
        Case({**shape, "pass": name})
        for shape in json.loads(SHAPES.read_text())
        if shape["network"] in rows
        for name in PASSES
        if not (shape.get("first") and name == "backward-data")
    ]


class Pair:
    """Our worker and the one of oneDNN. Use it as a context, which ends them."""

    def __init__(self, ours: Command, peer: Command, folder: Path) -> None:
        self.workers = [Worker(ours, folder), Worker(peer, folder)]

    def __enter__(self) -> Pair:
        return self

    def __exit__(self, *_: object) -> None:
        for worker in self.workers:
            worker.kill()

    def start(self) -> Answer:
        """Waits for both and returns the ready answer of oneDNN's."""
        self.workers[0].start()
        return self.workers[1].start()

    def measure(self, case: Case, turn: int, seconds: float, wait: float) -> None:
        """Measures both, alternating which is first, and our peak."""
        question = f"conv {seconds} {json.dumps(case.shape)}"
        for i in (0, 1) if turn % 2 == 0 else (1, 0):
            answer, others = ask_undisturbed(self.workers[i], question, seconds, wait)
            (case.ours, case.peer)[i].append(answer["flops_per_second"])
            case.others += [] if others is None else [others]
        case.peak.append(self.workers[0].ask(f"peak {PEAK_SECONDS / 2}")["flops_per_second"])


def run(pair: Pair, all_cases: list[Case], rounds: int, seconds: float, wait: float) -> None:
    """Measures all cases in each round, each when other processes are idle or the wait is over. A case that fails gets a
    remark."""
    for turn in range(rounds):
        for case in all_cases:
            if case.remark:
                continue
            try:
                pair.measure(case, turn, seconds, wait)
            except WorkerError as error:
                case.remark = str(error)
            result = case.remark or f"{case.ours[-1] / 1e9:8,.1f} GFLOP/s, oneDNN {case.peer[-1] / 1e9:8,.1f}"
            place = f"{turn + 1}/{rounds}"
            print(f"{place:<6} {case.shape['pass']:<16} {case.name:<30} {result}"[:100], flush=True)


READING = (
    "Single passes of convolutions in float32, stride 1, images in the order NHWC (channels_last). oneDNN is called through "
    "PyTorch: `conv2d`, and `convolution_backward` for one of its results. Medians over the rounds, in which both programs "
    "took turns. The ratio is the median of the rounds' ratios, with minimum and maximum. Operations are counted as in "
    "textbooks; % is relative to the multiply-add peak measured after each pair. Winograd's method needs fewer operations "
    "and can exceed 100%. Method: [bench/peers](../../bench/peers/README.md)."
)

HEADER = ["convolution", "pass", "trainer, GFLOP/s", "%", "oneDNN, GFLOP/s", "%", "trainer / oneDNN", "remark"]


def cells(case: Case) -> list[str]:
    """A line of the table."""
    name = [f"{case.name} (`{case.shape['network']}`)", case.shape["pass"]]
    rounds = list(zip(case.ours, case.peer, case.peak))
    if not rounds:
        return [*name, *[table.DASH] * 5, case.remark.replace("|", "\\|")]
    ratios = [a / b for a, b, _ in rounds]
    rates = [
        text
        for rates in (case.ours, case.peer)
        for text in (table.number(median(rates) / 1e9), f"{100 * median(x / p for x, p in zip(rates, case.peak)):.0f}")
    ]
    return [*name, *rates, f"{median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})", case.remark]


def by_pass(all_cases: list[Case]) -> Iterator[str]:
    """One line per pass about all convolutions together."""
    for name in PASSES:
        medians = [
            median(a / b for a, b in zip(c.ours, c.peer)) for c in all_cases if c.shape["pass"] == name and c.peak
        ]
        if medians:
            yield (
                f"- {name}: trainer / oneDNN has median {median(medians):.2f} over {len(medians)} convolutions, "
                f"minimum {min(medians):.2f}, maximum {max(medians):.2f}"
            )


def text(machine: Machine, peer: Answer, all_cases: list[Case], rounds: int, seconds: float) -> str:
    """The file about convolutions."""
    lines = ["# Convolutions compared with oneDNN", ""]
    lines += table.heading(machine, [f"{peer['name']} {peer['version']}"], rounds, seconds)
    lines += [READING, "", *table.busy([x for c in all_cases for x in c.others])]
    lines += [*by_pass(all_cases), "", *table.lines_of(HEADER, [cells(c) for c in all_cases])]
    return "\n".join(lines) + "\n"
