"""Measures training steps: the programs of a network take turns over several rounds."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import programs
from processes import Answer, Command, Worker, WorkerError, ask_undisturbed

PEAK_SECONDS = 0.2  # to measure the multiply-add peak, after each of our measurements

T = TypeVar("T")


class Mismatch(Exception):
    """The programs do not train the same network; the message says how they differ."""


@dataclass
class Round:
    """The result of one measurement."""

    speed: float  # images per second
    peak: float = 0.0  # floating-point operations per second; ours only
    others: float | None = None  # share of the processors that other processes used


@dataclass
class Program:
    """One program of a network, with its results. rounds has one entry per round, which is None without a measurement."""

    command: Command
    ready: Answer = field(default_factory=dict)
    rounds: list[Round | None] = field(default_factory=list)
    memory: int = 0  # peak, in bytes; 0: unknown
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
    """The items, rotated so that each round begins with another one."""
    by %= len(items)
    return items[by:] + items[:by]


def say(*parts: str) -> None:
    """Prints one line in columns: network, round, program, result."""
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
        self.wait = wait  # longest time for other processes to become idle, in seconds
        self.workers: dict[int, Worker] = {}  # by the program's index in the row

    def __enter__(self) -> Comparison:
        return self

    def __exit__(self, *_: object) -> None:
        for worker in self.workers.values():
            worker.kill()

    def start(self) -> None:
        """Starts the workers one after another. A worker that fails gets a remark; ours must not fail."""
        for i, program in enumerate(self.row.programs):
            say(self.row.key, "start", program.command.label, "")
            self.workers[i] = Worker(program.command, self.folder)
            self.attempt(i, lambda worker, p=program: p.ready.update(worker.start()))
            if program.ready:
                check_same(self.row.key, self.row.programs[0].ready, program.ready)

    def attempt(self, i: int, action: Callable[[Worker], None]) -> None:
        """Performs an action on a worker, unless it has failed before. If it fails now, the worker is killed and the
        program gets a remark."""
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
            say(self.row.key, "", program.command.label, f"skipped: {error}")

    def measure(self, rounds: int, seconds: float) -> None:
        """Measures all programs in each round, each round beginning with another one."""
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
        """Asks for the peak memory and ends the workers."""
        for i, program in enumerate(self.row.programs):
            try:
                if i in self.workers:
                    program.memory = self.workers[i].ask("memory")["peak_rss_bytes"]
            except WorkerError as error:
                say(self.row.key, "", program.command.label, f"unknown memory: {error}")
        for worker in self.workers.values():
            worker.close()
        self.workers.clear()


def result(r: Round) -> str:
    """A measurement as text."""
    text = f"{r.speed:10,.1f} images/s"
    if r.peak:
        text += f", peak {r.peak / 1e9:,.0f} GFLOP/s"
    return text if r.others is None else text + f", others {100 * r.others:.0f}%"


def check_same(row: str, ours: Answer, other: Answer) -> None:
    """Fails unless two programs train the same network: the same numbers of trained parameters and of operations per step,
    the same output."""
    for what in ["batch", "parameters", "flops_per_image", "output"]:
        if ours[what] != other[what]:
            raise Mismatch(
                f"network {row}: {what.replace('_', ' ')} of {other['name']} {other['mode']} is {other[what]}, "
                f"ours {ours[what]}"
            )


def check_losses(row: str, ours: Answer, other: Answer, tolerance: float) -> float:
    """Returns the largest relative difference of the losses of the first steps. Fails if it is too large."""
    worst = max(abs(b / a - 1) for a, b in zip(ours["losses"], other["losses"], strict=True))
    if not worst <= tolerance:
        raise Mismatch(
            f"network {row}: from the same weights the losses of {other['name']} {other['mode']} are "
            f"{other['losses']}, ours {ours['losses']}"
        )
    return worst
