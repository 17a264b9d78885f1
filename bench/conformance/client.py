"""The driver's side of the protocol that worker/main.go describes, and recipes as text."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

Arrays = dict[str, np.ndarray]


class Refused(Exception):
    """The worker answered with an error."""


@dataclass
class Answer:
    """An answer: its arrays by name, and its result."""

    arrays: Arrays
    result: Any

    def __getitem__(self, name: str) -> np.ndarray:
        return self.arrays[name]


class Worker:
    """A worker process with one instruction set."""

    def __init__(self, program: Path, instructions: str, threads: int = 1) -> None:
        env = {**os.environ, "TRAINER_CPU": instructions}
        self.process = subprocess.Popen(
            [str(program), "-threads", str(threads)], env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        self.info = self.ask("kinds").result

    def ask(self, op: str, args: Mapping[str, Any] | None = None, **arrays: np.ndarray | None) -> Answer:
        """Runs an operation. Arrays become float32, or int32 if their elements are integers; None is left out."""
        return self.ask_arrays(op, args or {}, arrays)

    def ask_arrays(self, op: str, args: Mapping[str, Any], arrays: Mapping[str, np.ndarray | None]) -> Answer:
        """As ask, for arrays whose names aren't words."""
        sent = {name: elements(a) for name, a in arrays.items() if a is not None}
        header = [{"name": name, "type": str(a.dtype), "shape": a.shape} for name, a in sent.items()]
        line = json.dumps({"op": op, "args": args, "arrays": header})
        assert self.process.stdin and self.process.stdout
        try:
            self.process.stdin.write(line.encode() + b"\n")
            for a in sent.values():
                self.process.stdin.write(a.tobytes())
            self.process.stdin.flush()
        except BrokenPipeError:
            raise RuntimeError("the worker has ended") from None
        answer = json.loads(self.process.stdout.readline() or '{"error":"the worker has ended"}')
        received = {a["name"]: self.receive(a) for a in answer.get("arrays", [])}
        if "error" in answer:
            raise Refused(answer["error"])
        return Answer(received, answer.get("result"))

    def receive(self, header: dict[str, Any]) -> np.ndarray:
        dtype = np.dtype(header["type"])
        count = int(np.prod(header["shape"], dtype=np.int64))
        assert self.process.stdout
        data = self.process.stdout.read(count * dtype.itemsize)
        return np.frombuffer(data, dtype).reshape(header["shape"])

    def has_key(self, family: str, kind: str, *keys: str) -> bool:
        """Whether recipes can name the kind and all of the keys. family is layers, losses, rules or schedules."""
        known = self.info[family].get(kind)
        return known is not None and set(keys) <= set(known)

    def close(self) -> None:
        assert self.process.stdin
        self.process.stdin.close()
        self.process.wait()


def workers(specs: list[str]) -> dict[str, Worker]:
    """Workers by instruction set, from texts INSTRUCTIONS=PROGRAM. noasm is the name of a build without assembly, which has
    one set only."""
    named = [spec.partition("=") for spec in specs]
    return {name: Worker(Path(program), "" if name == "noasm" else name) for name, _, program in named}


def elements(a: np.ndarray) -> np.ndarray:
    """The array in a type that the worker takes."""
    a = np.asarray(a)
    return np.ascontiguousarray(a, np.int32 if a.dtype.kind in "iu" else np.float32)


def toml(value: Any) -> str:
    """A value in TOML, with tables on one line."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return json.dumps(value)
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(toml(v) for v in value) + "]"
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{k} = {toml(v)}" for k, v in value.items()) + " }"
    return repr(float(value)) if isinstance(value, (float, np.floating)) else str(int(value))


def recipe(
    network: list[dict[str, Any]] | None = None,
    loss: dict[str, Any] | None = None,
    optimizer: dict[str, Any] | None = None,
    schedule: dict[str, Any] | None = None,
) -> str:
    """A recipe of these tables, and of others that nothing uses where they are missing."""
    tables = {
        "loss": loss or {"kind": "mse"},
        "optimizer": optimizer or {"kind": "sgd", "lr": 1.0},
        "schedule": schedule or {"kind": "constant"},
        "network": network or [{"layer": "flatten"}],
    }
    lines = ['name = "conformance"', "epochs = 1", "batch = 1"]
    return "\n".join(lines + [f"{key} = {toml(value)}" for key, value in tables.items()]) + "\n"


def nhwc(x: np.ndarray) -> np.ndarray:
    """Moves the channels of [n, c, ...] to the end."""
    return np.ascontiguousarray(np.moveaxis(np.asarray(x), 1, -1))


def nchw(x: np.ndarray) -> np.ndarray:
    """Moves the channels of [n, ..., c] to the second place."""
    return np.ascontiguousarray(np.moveaxis(np.asarray(x), -1, 1))
