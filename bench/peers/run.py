#!/usr/bin/env python3
"""Compares this project's training steps on the CPU with those of PyTorch and TensorFlow, and its convolutions with
oneDNN's, and its reading of pictures with theirs. README.md describes the method and the tables."""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import environment

try:
    environment.check_python()  # before importing what an older Python can't read
except environment.SetupError as error:
    sys.exit(f"bench-peers: {error}")

import comparison
import convolutions
import loading
import programs
import table
from processes import Worker, WorkerError

FOLDER = Path(__file__).resolve().parent
RESULTS = environment.ROOT / "docs" / "results"

CHECK_BATCH = 16
CHECK_LR = 0.02  # large enough for an update to show in the next losses
CHECK_TOLERANCE = 1e-4  # relative, of losses: float32 sums in another order


def positive(kind: Callable[[str], Any]) -> Callable[[str], Any]:
    """A number above zero."""

    def parse(text: str) -> Any:
        value = kind(text)
        if not value > 0:
            raise argparse.ArgumentTypeError(f"want a number above 0, got {text}")
        return value

    parse.__name__ = kind.__name__  # for the message about an invalid number
    return parse


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-rounds", type=positive(int), default=5, help="number of measurements of each program (default 5)")
    parser.add_argument("-seconds", type=positive(float), help="seconds per measurement (default 3; with -conv 0.3)")
    parser.add_argument("-threads", type=positive(int), help="threads per program (default: all cores)")
    parser.add_argument("-wait", type=float, default=30.0, metavar="SECONDS",
                        help="longest wait for other processes to become idle before a measurement, which is "
                        "repeated if they interfere; 0: do neither (default 30)")
    parser.add_argument("-rows", nargs="+", metavar="ROW", help="networks to measure, or sizes of pictures (default: all)")
    parser.add_argument("-out", type=Path, help="file for the table (default docs/results/peers[-conv|-load]-<instruction set>.md)")
    parser.add_argument("-venv", type=Path, default=FOLDER / ".venv", metavar="DIR",
                        help="virtual environment of the other frameworks, made if missing (default bench/peers/.venv)")
    what = parser.add_mutually_exclusive_group()
    what.add_argument("-conv", action="store_true", help="measure single convolutions instead of training steps")
    what.add_argument("-load", action="store_true", help="measure how fast pictures are read instead of training steps")
    what.add_argument("-check", action="store_true", help="only check that all programs train the same networks")
    return parser.parse_args()


@dataclass
class Setup:
    """What a comparison needs."""

    rows: list[str]
    rounds: int
    seconds: float
    wait: float
    out: Path
    python: Path  # of the virtual environment
    worker: Path  # ours
    machine: environment.Machine


def prepare(args: argparse.Namespace, folder: Path) -> Setup:
    """Builds the worker in a folder, and installs what is missing."""
    known = convolutions.networks() if args.conv else loading.CASES if args.load else programs.ROWS
    rows = chosen(args.rows, list(known))
    worker = environment.build_worker(folder)
    machine = environment.describe(worker, args.threads)
    name = f"peers{'-conv' if args.conv else '-load' if args.load else ''}-{machine.kind}.md"
    return Setup(
        rows=rows,
        rounds=args.rounds,
        seconds=args.seconds or (0.3 if args.conv else 3.0),
        wait=args.wait,
        out=args.out or RESULTS / name,
        python=environment.virtual_environment(args.venv.absolute()),
        worker=worker,
        machine=machine,
    )


def chosen(rows: list[str] | None, known: list[str]) -> list[str]:
    """The requested rows, in the order of the table."""
    unknown = [r for r in rows or [] if r not in known]
    if unknown:
        raise environment.SetupError(f"-rows: unknown {' '.join(unknown)} (valid: {' '.join(known)})")
    return [r for r in known if rows is None or r in rows]


def compare_training(s: Setup) -> None:
    """Measures training steps. The table is written after each network."""
    rows = []
    for key in s.rows:
        commands = comparison.commands(key, s.worker, s.python, s.machine.threads)
        with comparison.Comparison(key, commands, FOLDER, s.wait) as c:
            c.start()
            c.measure(s.rounds, s.seconds)
            c.finish()
        rows.append(c.row)
        text = table.training(s.machine, rows, s.rounds, s.seconds)
        table.write(s.out, text)
    print(f"\n{text}\nwritten to {s.out}")


def compare_convolutions(s: Setup) -> None:
    """Measures single convolutions."""
    cases = convolutions.cases(s.rows)
    ours, peer = programs.conv_ours(s.worker, s.machine.threads), programs.conv_peer(s.python, s.machine.threads)
    with convolutions.Pair(ours, peer, FOLDER) as pair:
        ready = pair.start()
        convolutions.run(pair, cases, s.rounds, s.seconds, s.wait)
    text = convolutions.text(s.machine, ready, cases, s.rounds, s.seconds)
    table.write(s.out, text)
    print(f"\n{text}\nwritten to {s.out}")


def compare_loading(s: Setup, folder: Path) -> None:
    """Measures reading of pictures, which are made in a folder first. The table is written after each size."""
    results: list[loading.Result] = []
    for row in s.rows:
        case = loading.CASES[row]
        pictures = loading.make(case, s.python, folder)
        commands = [programs.load_ours(s.worker, s.machine.threads, pictures, case.size)]
        commands += programs.load_peers(s.python, s.machine.threads, pictures, case.size)
        results += loading.measure(row, commands, FOLDER, s.rounds, s.seconds, s.wait)
        text = loading.text(s.machine, results, s.rounds, s.seconds)
        table.write(s.out, text)
    print(f"\n{text}\nwritten to {s.out}")


def check(s: Setup, folder: Path) -> None:
    """Trains from the same weights with all programs, and compares the first losses."""
    for key in s.rows:
        extra = ["--batch", str(CHECK_BATCH), "--lr", str(CHECK_LR), "--check", str(folder / f"{key}.safetensors")]
        first: dict[str, Any] = {}
        for command in comparison.commands(key, s.worker, s.python, s.machine.threads, extra):
            worker = Worker(command, FOLDER)
            try:
                ready = worker.start()
            except WorkerError as error:
                if not first:
                    raise
                comparison.say(key, "", command.label, f"skipped: {error}")
                continue
            finally:
                worker.kill()
            first = first or ready
            comparison.check_same(key, first, ready)
            worst = comparison.check_losses(key, first, ready, CHECK_TOLERANCE)
            comparison.say(key, "same", command.label, f"largest relative difference of the losses {worst:.1e}")


def main() -> None:
    args = arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the workers end
    try:
        with tempfile.TemporaryDirectory() as name:
            setup = prepare(args, Path(name))
            if args.check:
                check(setup, Path(name))
            elif args.conv:
                compare_convolutions(setup)
            elif args.load:
                compare_loading(setup, Path(name))
            else:
                compare_training(setup)
    except (environment.SetupError, comparison.Mismatch, WorkerError) as error:
        sys.exit(f"bench-peers: {error}")
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
