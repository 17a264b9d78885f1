"""The worker's side of run.py's protocol; worker/main.go is the same in Go.

A worker prints one line of JSON when its network is built and warm, and then answers each line of its input with one
line. Output of libraries goes to standard error, so that it doesn't mix with the answers.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable
from typing import Any, TextIO

Answer = dict[str, Any]
Built = tuple[Answer, dict[str, Callable[[str], Answer]]]  # what is ready, and its commands


def arguments(modes: list[str]) -> argparse.Namespace:
    """The command line that every worker of a network understands."""
    parser = argparse.ArgumentParser(description="a worker of run.py: run that instead")
    parser.add_argument("--row", required=True, help="network, a file of networks/ without .toml")
    parser.add_argument("--mode", required=True, choices=modes)
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--batch", type=int, default=0, help="images per step; 0: the network's")
    parser.add_argument("--lr", type=float, default=0.0, help="learning rate; 0: the network's")
    parser.add_argument("--check", default="", help="start with the weights in this file and report "
                        "the losses of the first steps, without dropout")
    return parser.parse_args()


def replies() -> TextIO:
    """Standard output for the answers only: everything else that is printed goes to standard error."""
    out = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    return out


def repeat(seconds: float, call: Callable[[], object]) -> tuple[int, float]:
    """Calls repeatedly until the seconds are over, at least once; returns the number of calls and their time."""
    if not seconds > 0:
        raise ValueError(f"want a positive number of seconds, got {seconds}")
    calls, start = 0, time.perf_counter()
    while True:
        call()
        calls += 1
        took = time.perf_counter() - start
        if took >= seconds:
            return calls, took


def measure(step: Callable[[], object], batch: int) -> Callable[[str], Answer]:
    """The command that measures training steps. One unmeasured step refills the caches."""

    def command(args: str) -> Answer:
        step()
        steps, took = repeat(float(args), step)
        return {"images_per_second": steps * batch / took, "steps": steps, "seconds": took}

    return command


def peak_memory(_: str) -> Answer:
    """The peak memory of the process."""
    import resource  # not on Windows

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {"peak_rss_bytes": peak if sys.platform == "darwin" else peak * 1024}


def one_line(error: BaseException) -> str:
    """The error on one line: its type and the first line of its message."""
    text = str(error).strip()
    return f"{type(error).__name__}: {text.splitlines()[0]}" if text else type(error).__name__


def serve(out: TextIO, build: Callable[[], Built]) -> None:
    """Builds, reports that it is ready, and answers until quit or the end of the input."""

    def write(answer: Answer) -> None:
        print(json.dumps(answer), file=out, flush=True)

    try:
        ready, commands = build()
    except Exception as error:
        write({"ready": False, "error": one_line(error)})
        raise
    write({"ready": True, **ready})
    commands = {"memory": peak_memory, **commands}
    for line in sys.stdin:
        name, _, args = line.strip().partition(" ")
        if name == "quit":
            return
        try:
            write(commands[name](args) if name in commands else {"error": f"unknown command {name!r}"})
        except Exception as error:
            write({"error": one_line(error)})
