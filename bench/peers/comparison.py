"""Measures training steps: all programs of a network, in turn, round after round."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import programs
from processes import Answer, Command, Worker, WorkerError, ask_undisturbed

PEAK_SECONDS = 0.2  # that the multiply-add peak is measured after each of our measurements

T = TypeVar("T")


class Mismatch(Exception):
    """The programs do not train the same network; the message says where they differ."""


@dataclass
class Round:
    """What one measurement found."""

    speed: float  # images a second
    peak: float = 0.0  # floating-point operations a second; ours only
    others: float | None = None  # share of the processors that others used


@dataclass
class Program:
    """One program of a network, and what was found of it. rounds has an entry a round, None
    where there was no measurement."""

    command: Command
    ready: Answer = field(default_factory=dict)
    rounds: list[Round | None] = field(default_factory=list)
    memory: int = 0  # bytes at most; 0: not known
    remark: str = ""

    @property
    def ours(self) -> bool:
        return self.command.name == programs.OURS


@dataclass
class Row:
    """A network and the programs that train it, ours first."""

    key: str
    description: str
    programs: list[Program]


def rotated(items: list[T], by: int) -> list[T]:
    """The items, beginning with another one each round."""
    by %= len(items)
    return items[by:] + items[:by]


def say(*parts: str) -> None:
    """Prints one line of the screen, in columns: network, round, program, result."""
    network, turn, program, result = parts
    print(f"{network:<12} {turn:<7} {program:<26} {result}"[:100], flush=True)


def commands(row: str, worker: Path, python: Path, threads: int, extra: Sequence[str] = ()) -> list[Command]:
    """The programs of a row, ours first."""
    mine = [programs.ours(worker, row, threads, extra)]
    if row == programs.ONE_THREAD_ROW and threads > 1:
        mine.append(programs.ours(worker, row, 1, extra, "float32, 1 thread"))
    return mine + programs.peers(python, row, threads, extra)


def describe(key: str) -> str:
    """A network's description, from its file."""
    return tomllib.loads((programs.NETWORKS / f"{key}.toml").read_text())["description"]


class Comparison:
    """The processes of one network. Use it as a context, which ends them."""

    def __init__(self, key: str, all_commands: list[Command], folder: Path, wait: float) -> None:
        self.row = Row(key, describe(key), [Program(c) for c in all_commands])
        self.folder = folder
        self.wait = wait  # seconds at most for others to become quiet
        self.workers: dict[int, Worker] = {}  # by the program's place in the row

    def __enter__(self) -> Comparison:
        return self

    def __exit__(self, *_: object) -> None:
        for worker in self.workers.values():
            worker.kill()

    def start(self) -> None:
        """Starts the workers one after another. One that fails is remarked on, but for ours."""
        for i, program in enumerate(self.row.programs):
            say(self.row.key, "start", program.command.label, "")
            self.workers[i] = Worker(program.command, self.folder)
            self.attempt(i, lambda worker, p=program: p.ready.update(worker.start()))
            if program.ready:
                check_same(self.row.key, self.row.programs[0].ready, program.ready)

    def attempt(self, i: int, action: Callable[[Worker], None]) -> None:
        """Does something with a worker, unless it has failed before. If it fails now, the
        worker is ended and the program gets a remark."""
        if i not in self.workers:
            return
        program = self.row.programs[i]
        try:
            action(self.workers[i])
        except WorkerError as error:
            self.workers.pop(i).kill()
            if i == 0:
                raise WorkerError(f"{program.command.label}, network {self.row.key}: {error}") from None
            program.remark = str(error)
            say(self.row.key, "", program.command.label, f"left out: {error}")

    def measure(self, rounds: int, seconds: float) -> None:
        """Measures all programs in each round, beginning with another one each time."""
        for turn in range(rounds):
            for i in rotated(list(range(len(self.row.programs))), turn):
                program = self.row.programs[i]
                program.rounds.append(None)
                self.attempt(i, lambda worker, p=program: self.measure_one(worker, p, seconds))
                if program.rounds[-1]:
                    say(self.row.key, f"{turn + 1}/{rounds}", program.command.label, result(program.rounds[-1]))

    def measure_one(self, worker: Worker, program: Program, seconds: float) -> None:
        answer, others = ask_undisturbed(worker, f"measure {seconds}", seconds, self.wait)
        peak = worker.ask(f"peak {PEAK_SECONDS}")["flops_per_second"] if program.ours else 0.0
        program.rounds[-1] = Round(answer["images_per_second"], peak, others)

    def finish(self) -> None:
        """Asks for the peaks of memory and ends the workers."""
        for i, program in enumerate(self.row.programs):
            try:
                if i in self.workers:
                    program.memory = self.workers[i].ask("memory")["peak_rss_bytes"]
            except WorkerError as error:
                say(self.row.key, "", program.command.label, f"memory is not known: {error}")
        for worker in self.workers.values():
            worker.close()
        self.workers.clear()


def result(r: Round) -> str:
    """A measurement for the screen."""
    text = f"{r.speed:10,.1f} images/s"
    if r.peak:
        text += f", peak {r.peak / 1e9:,.0f} GFLOP/s"
    return text if r.others is None else text + f", others {100 * r.others:.0f}%"


def check_same(row: str, ours: Answer, other: Answer) -> None:
    """Fails unless two programs train the same network: as many trained parameters, as many
    operations a step, the same output."""
    for what in ["batch", "parameters", "flops_per_image", "output"]:
        if ours[what] != other[what]:
            raise Mismatch(
                f"network {row}: {what.replace('_', ' ')} of {other['name']} {other['mode']} is {other[what]}, "
                f"ours {ours[what]}"
            )


def check_losses(row: str, ours: Answer, other: Answer, tolerance: float) -> float:
    """Returns by how much, relatively, the losses of the first steps differ at most. Fails
    when it is too much."""
    worst = max(abs(b / a - 1) for a, b in zip(ours["losses"], other["losses"], strict=True))
    if not worst <= tolerance:
        raise Mismatch(
            f"network {row}: from the same weights the losses of {other['name']} {other['mode']} are "
            f"{other['losses']}, ours {ours['losses']}"
        )
    return worst
