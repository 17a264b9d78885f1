"""Worker processes, as the driver sees them, and the load of other processes on the machine."""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

START_TIMEOUT = 300.0  # seconds for building the network, compiling it and warming up
QUIT_TIMEOUT = 10.0  # seconds until it ends by itself
ANSWER_TIMEOUT = 300.0  # seconds in addition to those of a measurement
BUSY = 0.05  # share of the processors that other processes may use during a measurement
TRIES = 3  # of a disturbed measurement
QUIET_SAMPLE = 0.5  # seconds to observe the load before a measurement
POSIX = hasattr(signal, "SIGSTOP")

Answer = dict[str, Any]


class WorkerError(Exception):
    """A worker failed; the message says how, on one line."""


@dataclass
class Command:
    """How to start a worker."""

    name: str  # such as PyTorch
    mode: str  # such as channels_last
    args: list[str]
    env: dict[str, str] = field(default_factory=dict)

    @property
    def label(self) -> str:
        return f"{self.name} {self.mode}"


class Worker:
    """One worker process. Between questions it is stopped, so that it takes no processor time from the one being measured."""

    def __init__(self, command: Command, folder: Path) -> None:
        self.command = command
        self.patience = ANSWER_TIMEOUT  # seconds for an answer, in addition to those of a measurement
        self.errors = tempfile.TemporaryFile()
        self.process = subprocess.Popen(
            command.args, cwd=folder, env={**os.environ, **command.env}, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.errors, start_new_session=POSIX,
        )
        self.lines: queue.Queue[str] = queue.Queue()
        threading.Thread(target=self.read, daemon=True).start()

    def read(self) -> None:
        """Forwards the answers. An empty one is the end."""
        assert self.process.stdout
        for line in self.process.stdout:
            self.lines.put(line)
        self.lines.put("")

    def start(self, timeout: float = START_TIMEOUT) -> Answer:
        """Waits until the worker is ready, and returns its description of itself."""
        return self.answer(timeout)

    def ask(self, question: str, timeout: float = 0.0) -> Answer:
        """Wakes the worker, waits for its answer, and stops it again."""
        assert self.process.stdin
        self.signal("SIGCONT")
        try:
            self.process.stdin.write(question + "\n")
            self.process.stdin.flush()
        except OSError:
            raise WorkerError(self.ending()) from None
        return self.answer(timeout + self.patience)

    def answer(self, timeout: float) -> Answer:
        try:
            line = self.lines.get(timeout=timeout)
        except queue.Empty:
            raise WorkerError(f"no answer in {timeout:.0f} s") from None
        if not line:
            raise WorkerError(self.ending())
        self.signal("SIGSTOP")
        answer = json.loads(line)
        if "error" in answer:
            raise WorkerError(answer["error"])
        return answer

    def ending(self) -> str:
        """How the process ended, and the last line that it wrote to standard error."""
        status = self.process.wait()
        self.errors.seek(0)
        lines = self.errors.read().decode(errors="replace").strip().splitlines()
        how = f"killed by signal {-status}" if status < 0 else f"ended with status {status}"
        if status == -9:
            how += " (out of memory?)"
        return f"{how}: {lines[-1].strip()}" if lines else how

    def signal(self, name: str) -> None:
        """Sends a signal to the worker and the processes that it started."""
        if POSIX:
            try:
                os.killpg(self.process.pid, getattr(signal, name))
            except ProcessLookupError:
                pass  # it has ended, as the next answer will show

    def close(self) -> None:
        """Ends the worker and its child processes."""
        self.signal("SIGCONT")
        try:
            self.process.communicate("quit\n", timeout=QUIT_TIMEOUT)
        except (OSError, ValueError, subprocess.TimeoutExpired):
            pass
        self.kill()

    def kill(self) -> None:
        """Kills the worker and its child processes."""
        self.signal("SIGKILL")
        self.process.kill()
        self.process.wait()
        self.errors.close()


class Load:
    """The share of the machine's processors that all processes except one use, from its creation on. Known on Linux
    only."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.begin = self.read()
        self.time = time.monotonic()

    def read(self) -> tuple[float, float] | None:
        """Processor seconds of all and of the process so far."""
        try:
            # user nice system idle iowait irq softirq steal: all but the idle ones.
            ticks = [int(t) for t in Path("/proc/stat").read_text().splitlines()[0].split()[1:9]]
            own = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        except (OSError, IndexError):
            return None
        second = os.sysconf("SC_CLK_TCK")
        return (sum(ticks) - ticks[3] - ticks[4]) / second, (int(own[11]) + int(own[12])) / second

    def others(self) -> float | None:
        """The share, from 0 to 1, or None if it is unknown."""
        end = self.read()
        took = time.monotonic() - self.time
        if self.begin is None or end is None or took <= 0:
            return None
        busy = (end[0] - self.begin[0]) - (end[1] - self.begin[1])
        return min(max(busy / took / (os.cpu_count() or 1), 0.0), 1.0)


def wait_for_quiet(seconds: float) -> None:
    """Waits until other processes use little of the machine, but no longer than a number of seconds."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        load = Load(os.getpid())
        time.sleep(QUIET_SAMPLE)
        others = load.others()
        if others is None or others < BUSY:
            return


def ask_undisturbed(worker: Worker, question: str, timeout: float, wait: float) -> tuple[Answer, float | None]:
    """Asks when other processes are quiet, or have not been for so many seconds. When they
    come in between it tries again, and in the end takes the try that was disturbed least;
    without a wait it takes the first. Returns the answer and the others' share."""
    tries: list[tuple[Answer, float | None]] = []
    for _ in range(TRIES if wait > 0 else 1):
        wait_for_quiet(wait)
        load = Load(worker.process.pid)
        answer = worker.ask(question, timeout)
        tries.append((answer, load.others()))
        if (tries[-1][1] or 0.0) < BUSY:
            break
    return min(tries, key=lambda t: t[1] or 0.0)
