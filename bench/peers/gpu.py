#!/usr/bin/env python3
"""Compares this project with PyTorch on a GPU: training steps of recipes, in turns over several rounds, or with -train a
whole training. README.md describes the method. scripts/gpu-report.sh calls it."""

from __future__ import annotations

import argparse
import json
import shutil
import signal
import statistics
import sys
import tempfile
import time
import tomllib
from pathlib import Path
from typing import Any

import comparison
import table
from comparison import Program, Round, Row
from processes import Answer, Command, Worker, WorkerError

FOLDER = Path(__file__).resolve().parent

# The recipes, the most informative first, because time may run out.
ROWS = ["airbench94", "mnist", "cifar10", "mnist-basic", "cifar10-basic", "airbench96", "airbench95", "airbench93"]
# Compiling takes long: the recipes that are compiled, and the limit in seconds.
COMPILED = {"compile": (["airbench94", "mnist"], 60.0), "max-autotune": (["airbench94"], 180.0)}
START_TIMEOUT = 90.0  # of a process
BUILD_TIMEOUT = 40.0  # of a mode that isn't compiled
CHECK_BATCH = 16
CHECK_TOLERANCE = 1e-4  # relative, of float32 losses on the CPU
DRY_BATCH = 2
DRY_EPOCHS = 0.2
DRY_ROWS = ["mnist-basic", "mnist"]

EMULATED = "software emulation"


class Budget:
    """The time that is left."""

    def __init__(self, seconds: float) -> None:
        self.end = time.monotonic() + seconds

    def left(self) -> float:
        return self.end - time.monotonic()

    def limit(self, seconds: float) -> float:
        """A number of seconds, or the time that is left if that is less."""
        return max(1.0, min(seconds, self.left()))


def limit(mode: str) -> float:
    """Seconds for building a mode."""
    return COMPILED[mode][1] if mode in COMPILED else BUILD_TIMEOUT


class Torch:
    """The process of PyTorch, restarted after a failure."""

    def __init__(self, python: str, device: str, budget: Budget) -> None:
        self.command = Command("PyTorch", "all modes", [python, str(FOLDER / "peer_torch_gpu.py"), "--device", device])
        self.budget = budget
        self.worker: Worker | None = None
        self.ready: Answer = {}

    def start(self) -> None:
        """Starts the process unless there is one."""
        if self.worker is None:
            self.worker = Worker(self.command, FOLDER)
            try:
                self.ready = self.worker.start(self.budget.limit(START_TIMEOUT))
            except WorkerError:
                self.stop()
                raise

    def ask(self, question: str, seconds: float) -> Answer:
        """Asks the process. If it has ended or does not answer in time, it is killed, and the error is a lost process."""
        self.start()
        assert self.worker
        self.worker.patience = self.budget.limit(seconds)
        try:
            return self.worker.ask(question)
        except WorkerError as error:
            # After an error of CUDA no later call of the process works.
            if self.worker.process.poll() is not None or "no answer" in str(error) or is_cuda_error(str(error)):
                self.stop()
                raise Lost(str(error)) from None
            raise

    def stop(self) -> None:
        if self.worker:
            self.worker.kill()
            self.worker = None


def is_cuda_error(text: str) -> bool:
    """Whether an error has made the process's GPU context unusable. Running out of memory has not."""
    return "out of memory" not in text and any(s in text for s in ("CUDA error", "illegal memory access", "CUBLAS_STATUS", "CUDNN_STATUS"))


class Lost(WorkerError):
    """The process is gone, with the modes that it had built."""


class Comparison:
    """The programs of one recipe, with some of the modes of COMPILED. Use it as a context, which ends ours."""

    def __init__(self, row: str, args: argparse.Namespace, torch: Torch | None, budget: Budget, compiled: tuple[str, ...]) -> None:
        self.args, self.torch, self.budget, self.compiled = args, torch, budget, compiled
        self.row = Row(row, f"recipe {row}", [])
        self.ours: list[Worker] = []
        self.setting: Answer = {}

    def __enter__(self) -> Comparison:
        return self

    def __exit__(self, *_: object) -> None:
        for worker in self.ours:
            worker.kill()

    def start(self) -> None:
        """Starts ours, and has PyTorch build its modes."""
        for mode, flags in (("heuristics", []), ("autotune", ["-autotune"])):
            command = ours(self.args, self.row.key, mode, flags)
            program, worker = Program(command), Worker(command, FOLDER)
            self.ours.append(worker)
            program.ready = worker.start(self.budget.limit(START_TIMEOUT))
            self.row.programs.append(program)
        if self.torch is None:
            return
        self.setting = {
            "file": str(self.args.recipes / f"{self.row.key}.toml"), "precision": self.row.programs[0].ready["mode"],
            "batch": DRY_BATCH if self.args.dry else 0,
        }
        modes = self.torch.ask(f"recipe {json.dumps(self.setting)}", BUILD_TIMEOUT)["modes"]
        self.row.programs += [Program(Command("PyTorch", mode, [])) for mode in modes]
        for program in self.peers():
            self.build(program)

    def peers(self) -> list[Program]:
        return self.row.programs[len(self.ours):]

    def build(self, program: Program) -> None:
        """Has PyTorch build one mode. If that loses the process, the earlier modes are built again."""
        assert self.torch
        mode = program.command.mode
        seconds = limit(mode)
        if mode in COMPILED and self.row.key not in COMPILED[mode][0]:
            program.remark = "not compiled for this recipe, to save time"
        elif self.budget.left() < seconds or mode in COMPILED and mode not in self.compiled:
            program.remark = "no time left"
        elif self.args.dry and (mode in COMPILED or mode == "graph"):
            program.remark = "left out of a dry run"
        if program.remark:
            return
        try:
            program.ready = self.torch.ask(f"build {mode}", seconds)
        except Lost as error:
            program.remark = str(error)
            self.rebuild()
        except WorkerError as error:
            program.remark = str(error)
        if program.ready:
            comparison.check_same(self.row.key, self.row.programs[0].ready, program.ready)

    def rebuild(self) -> None:
        """Builds the modes that work in a new process."""
        assert self.torch
        self.torch.ask(f"recipe {json.dumps(self.setting)}", BUILD_TIMEOUT)
        for program in self.peers():
            if program.ready and not program.remark:
                program.ready = self.torch.ask(f"build {program.command.mode}", limit(program.command.mode))

    def measure(self) -> None:
        """Measures all programs in each round, each round beginning with another one."""
        places = list(range(len(self.row.programs)))
        for turn in range(self.args.rounds):
            for i in comparison.rotated(places, turn):
                program = self.row.programs[i]
                program.rounds.append(None)
                if program.remark or self.budget.left() < self.args.seconds + 1:
                    continue
                try:
                    program.rounds[-1] = Round(self.ask(i, program)["images_per_second"])
                except WorkerError as error:
                    if i < len(self.ours):
                        raise
                    program.remark = str(error)
                    if isinstance(error, Lost):
                        self.rebuild_or_give_up()

    def is_whole(self) -> bool:
        """Whether every program that could be measured has been, in each round."""
        return all(p.remark or len(p.rounds) == self.args.rounds and None not in p.rounds for p in self.row.programs)

    def rebuild_or_give_up(self) -> None:
        try:
            self.rebuild()
        except WorkerError as error:
            for program in self.peers():
                program.remark = program.remark or f"its process was lost: {error}"

    def ask(self, i: int, program: Program) -> Answer:
        if i < len(self.ours):
            self.ours[i].patience = self.budget.limit(BUILD_TIMEOUT)
            return self.ours[i].ask(f"measure {self.args.seconds}")
        assert self.torch
        return self.torch.ask(f"measure {program.command.mode} {self.args.seconds}", BUILD_TIMEOUT)


def ours(args: argparse.Namespace, row: str, mode: str, flags: list[str]) -> Command:
    """This project's worker for a recipe."""
    command = [str(args.worker), "-device", "cuda", "-networks", "", "-row", row, *flags]
    precision = recipe_precision(args.recipes / f"{row}.toml")
    if precision:
        command += ["-precision", precision]
    if args.dry:
        command += ["-dry", "-batch", str(DRY_BATCH)]
    return Command("trainer", mode, command)


def load_toml(file: Path) -> dict[str, Any]:
    return tomllib.loads(file.read_text())


def recipe_precision(file: Path) -> str:
    """The precision that a recipe names, or None."""
    return load_toml(file).get("precision", "")


def passes(rows: list[str]) -> list[tuple[str, tuple[str, ...]]]:
    """The recipes in the order in which they are measured, with the modes of COMPILED: all recipes come before the first
    compilation, and what is compiled is measured again, with all other programs."""
    order: list[tuple[str, tuple[str, ...]]] = [(row, ()) for row in rows]
    modes: tuple[str, ...] = ()
    for mode in COMPILED:
        modes += (mode,)
        order += [(row, modes) for row in rows if row in COMPILED[mode][0]]
    return order


def compare(args: argparse.Namespace, budget: Budget) -> dict[str, Any]:
    """Measures the steps of all recipes. The table is written after each."""
    done: dict[str, Row] = {}
    skipped: list[str] = []
    torch = Torch(args.python, "cpu" if args.dry else "cuda", budget)
    peer: Torch | None = torch
    remark = ""
    try:
        torch.start()
    except WorkerError as error:
        peer, remark = None, f"PyTorch can't be measured here: {error}"
        print(remark, flush=True)
    try:
        for key, compiled in passes(args.rows):
            if compiled and (args.dry or peer is None or key not in done):
                continue
            if budget.left() < 20 + sum(limit(mode) for mode in compiled):
                if not compiled:
                    skipped.append(key)
                continue
            started = time.monotonic()
            try:
                with Comparison(key, args, peer, budget, compiled) as c:
                    c.start()
                    c.measure()
                if not compiled or c.is_whole():
                    done[key] = c.row
            except (WorkerError, comparison.Mismatch) as error:
                skipped.append(" ".join([key, *compiled]) + f" ({error})")
            print(f"{' '.join([key, *compiled])}: {time.monotonic() - started:.0f} s", flush=True)
            write_table(args, list(done.values()), skipped, remark, torch.ready)
    finally:
        torch.stop()
    rows = list(done.values())
    write_table(args, rows, skipped, remark, torch.ready)
    if not rows:
        raise WorkerError(f"no recipe was measured: {skipped[0]}")
    return {"rows": len(rows), "skipped": skipped}


SUMMARY = ["network", "precision", "batch", "trainer, images/s", "fastest other", "its images/s", "trainer / fastest other", "trainer / PyTorch eager"]


def summary_cells(row: Row) -> list[str]:
    mine, peer = table.best([p for p in row.programs if p.ours]), table.best_peer(row)
    assert mine
    simple = next((p for p in row.programs if p.command.mode == "eager" and table.speeds(p)), None)
    return [
        f"`{row.key}`", mine.ready["mode"], str(mine.ready["batch"]), table.number(table.speed(mine)),
        peer.command.label if peer else table.DASH, table.number(table.speed(peer)) if peer else table.DASH,
        f"**{table.ratio(mine, peer)}**" if peer else table.DASH, table.ratio(mine, simple) if simple else table.DASH,
    ]


def section(row: Row) -> list[str]:
    """All programs of a recipe; ratios are to the faster of ours."""
    mine = table.best([p for p in row.programs if p.ours])
    assert mine
    lines = [
        f"### {row.key}", "",
        f"{mine.ready['mode']}, batch {mine.ready['batch']}, {mine.ready['parameters']:,} trained parameters, "
        f"{mine.ready['flops_per_image'] / 1e6:.2f} MFLOP per image and training step.", "",
    ]
    cells = []
    for p in row.programs:
        values = table.speeds(p)
        cells.append([
            p.command.label, table.number(table.speed(p)) if values else table.DASH, table.spread(values) if values else table.DASH,
            table.ratio(mine, p) if values and p is not mine else table.DASH, p.remark.replace("|", "\\|"),
        ])
    return lines + table.lines_of(["program", "images/s", "min to max", "trainer / program", "remark"], cells) + [""]


READING = (
    "Whole training steps of the recipes on one GPU. Ours are as in training (images gathered by index and augmented on the GPU, "
    "forward, loss, backward, update, replayed as a CUDA graph); PyTorch's have no augmentation, and take normalised images that are "
    "already on the GPU. The processes took turns, and waited for the GPU before and after; ratios are medians of the rounds' ratios, "
    "with minimum and maximum. *heuristics* and *autotune* are two ways to choose cuDNN's algorithms; PyTorch times them "
    "(`cudnn.benchmark`). `bench/peers/recipe_torch.py` describes PyTorch's modes."
)


def write_table(args: argparse.Namespace, rows: list[Row], skipped: list[str], remark: str, ready: Answer) -> None:
    """Writes the results so far, without speeds if it is a dry run."""
    lines = ["## Compared with PyTorch", ""]
    if remark:
        lines += [remark + ".", ""]
    if args.dry:
        lines += [f"Dry run on a {EMULATED}, PyTorch on the CPU: no speeds.", ""]
        lines += table.lines_of(["network", "program", "remark"], [
            [f"`{r.key}`", p.command.label, p.remark or ("ran" if table.speeds(p) else "did not run")] for r in rows for p in r.programs
        ])
    elif rows:
        lines += [READING, "", f"PyTorch {ready.get('version', 'none')}; {args.rounds} rounds, {args.seconds:g} s per measurement.", ""]
        lines += table.lines_of(SUMMARY, [summary_cells(r) for r in rows if table.best([p for p in r.programs if p.ours])])
        for row in rows:
            if table.best([p for p in row.programs if p.ours]):
                lines += ["", *section(row)]
    if skipped:
        lines += ["", "Skipped: " + "; ".join(skipped) + "."]
    table.write(args.out, "\n".join(lines).rstrip() + "\n")


def train(args: argparse.Namespace, budget: Budget) -> dict[str, Any]:
    """Trains one recipe whole with PyTorch, in some modes, and writes a table."""
    key = args.rows[0]
    file = args.recipes / f"{key}.toml"
    precision = "fp32" if args.dry else args.precision or recipe_precision(file) or "tf32"
    torch = Torch(args.python, "cpu" if args.dry else "cuda", budget)
    cells, found = [], {}
    try:
        for mode in args.modes:
            if budget.left() < 15:
                cells.append([f"PyTorch {mode}", *[table.DASH] * 5, "no time left"])
                continue
            try:
                setting = {"file": str(file), "precision": precision, "batch": DRY_BATCH if args.dry else 0}
                torch.ask(f"recipe {json.dumps(setting)}", START_TIMEOUT)
                asked = {"data": str(args.train), "seeds": list(range(args.runs)), "epochs": DRY_EPOCHS if args.dry else 0,
                         "seconds": budget.left() / (2 if mode != args.modes[-1] else 1)}
                found[mode] = torch.ask(f"train {mode} {json.dumps(asked)}", budget.left())
                cells.append(training_cells(mode, found[mode], args.dry))
            except WorkerError as error:
                cells.append([f"PyTorch {mode}", *[table.DASH] * 5, str(error).replace("|", "\\|")])
    finally:
        torch.stop()
    version = torch.ready.get("version", "(did not start)")
    lines = [
        f"## Training {key} in PyTorch", "",
        f"The same recipe in PyTorch {version}, {precision}: `bench/peers/training_torch.py`. Its time begins after compilation "
        "and a few steps, and ends before the evaluation.", "",
        *table.lines_of(["program", "runs", "test accuracy", "training per run", "min to max", "warm-up", "remark"], cells),
    ]
    table.write(args.out, "\n".join(lines) + "\n")
    return found


def training_cells(mode: str, answer: Answer, dry: bool) -> list[str]:
    runs = answer["runs"]
    if dry:
        return [f"PyTorch {mode}", str(len(runs)), *[EMULATED] * 4, ""]
    seconds, accuracy = [r["seconds"] for r in runs], [100 * r["accuracy"] for r in runs]
    spread = f" ± {statistics.stdev(accuracy):.2f}%" if len(runs) > 1 else ""
    return [
        f"PyTorch {mode}", str(len(runs)), f"{statistics.mean(accuracy):.2f}%{spread}", f"{statistics.mean(seconds):.2f} s",
        f"{min(seconds):.2f} to {max(seconds):.2f} s", f"{answer['warm_up_seconds']:.1f} s", "",
    ]


def check(args: argparse.Namespace, budget: Budget) -> dict[str, Any]:
    """Trains from the same weights in float32 on the CPU with PyTorch and with ours, and compares the first losses."""
    worst = {}
    torch = Torch(args.python, "cpu", budget)
    try:
        with tempfile.TemporaryDirectory() as folder:
            for key in args.rows:
                weights, kind = Path(folder) / f"{key}.safetensors", load_toml(args.recipes / f"{key}.toml")["optimizer"]["kind"]
                flags = ["-device", "cpu", "-networks", "", "-row", key, "-batch", str(CHECK_BATCH), "-check", str(weights)]
                worker = Worker(Command("trainer", "float32", [str(args.worker), *flags]), FOLDER)
                try:
                    first = worker.start(budget.limit(START_TIMEOUT))
                finally:
                    worker.kill()
                setting = {"file": str(args.recipes / f"{key}.toml"), "precision": "fp32", "batch": CHECK_BATCH, "check": str(weights)}
                torch.ask(f"recipe {json.dumps(setting)}", BUILD_TIMEOUT)
                for mode in ("eager", "channels_last"):
                    other = torch.ask(f"build {mode}", 10 * BUILD_TIMEOUT)
                    comparison.check_same(key, first, other)
                    worst[f"{key} {mode}"] = comparison.check_losses(key, comparable(first, kind), comparable(other, kind), CHECK_TOLERANCE)
                    comparison.say(key, "same", f"PyTorch {mode}", f"largest relative difference of the losses {worst[f'{key} {mode}']:.1e}")
    finally:
        torch.stop()
    return worst


def comparable(answer: Answer, optimizer: str) -> Answer:
    """The losses that rounding barely changes: for Adam the first one and the one after one update. Adam divides each gradient by
    its own size, so rounding decides the direction of a whole step if a gradient is nearly zero."""
    return {**answer, "losses": answer["losses"][:2]} if optimizer == "adam" else answer


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-worker", type=Path, required=True, help="this project's worker, built from bench/peers/worker with the tag cuda")
    parser.add_argument("-recipes", type=Path, required=True, metavar="DIR", help="folder of the built-in recipes, NAME.toml")
    parser.add_argument("-python", default=sys.executable, help="a Python that has PyTorch (default: this one)")
    parser.add_argument("-rows", nargs="+", metavar="RECIPE", help="recipes (default: all, the most informative first)")
    parser.add_argument("-rounds", type=int, default=5, help="number of measurements of each program (default 5)")
    parser.add_argument("-seconds", type=float, default=0.3, help="seconds per measurement (default 0.3)")
    parser.add_argument("-budget", type=float, default=600.0, help="limit for everything, in seconds (default 600)")
    parser.add_argument("-out", type=Path, help="file for the table")
    parser.add_argument("-dry", action="store_true", help="run everything on the software emulation, and PyTorch on the CPU, without speeds")
    what = parser.add_mutually_exclusive_group()
    what.add_argument("-train", type=Path, metavar="DIR", help="a whole training of one recipe, on the folder with the six binary files of CIFAR-10")
    what.add_argument("-check", action="store_true", help="only check on the CPU that PyTorch trains the same networks")
    parser.add_argument("-modes", nargs="+", help="with -train: PyTorch's modes (default half compile; channels_last in a dry run)")
    parser.add_argument("-runs", type=int, default=5, help="with -train: number of runs, each with the next seed, if there is time (default 5)")
    parser.add_argument("-precision", default="", help="with -train: precision (default: the recipe's)")
    args = parser.parse_args()
    args.rows = args.rows or (ROWS[:1] if args.train else DRY_ROWS if args.dry else ROWS)
    args.modes = args.modes or (["channels_last"] if args.dry else ["half", "compile"])
    if not args.out and not args.check:
        parser.error("-out is missing")
    if not shutil.which(str(args.worker)):
        parser.error(f"-worker: {args.worker} is not a program")
    args.worker, args.recipes = args.worker.absolute(), args.recipes.absolute()
    args.train = args.train and args.train.absolute()
    for row in args.rows:
        if not (args.recipes / f"{row}.toml").exists():
            parser.error(f"-recipes: {args.recipes} has no {row}.toml")
    return args


def main() -> None:
    args = arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the workers end
    budget = Budget(args.budget)
    action = check if args.check else train if args.train else compare
    try:
        print(json.dumps(action(args, budget)))
    except (comparison.Mismatch, WorkerError) as error:
        sys.exit(f"gpu.py: {error}")


if __name__ == "__main__":
    main()
