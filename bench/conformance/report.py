"""What the cases gave: one row for each group of cases, in all instruction sets."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from bounds import Want
from client import Refused, Worker


@dataclass
class Group:
    """Cases of one kind. Lists and dictionaries are by instruction set."""

    cases: int = 0
    comparisons: int = 0  # tensors of all cases in one instruction set
    failed: dict[str, int] = field(default_factory=dict)  # cases
    largest: dict[str, float] = field(default_factory=dict)  # error in units of the tolerance
    worst: str = ""  # the tensor and the case with the largest error of all
    failures: list[str] = field(default_factory=list)  # the first few


class Recorder:
    """Runs cases in every worker and collects their errors."""

    def __init__(self, workers: Mapping[str, Worker]) -> None:
        self.workers = workers
        self.groups: dict[str, Group] = {}
        self.any = next(iter(workers.values()))

    def check(self, name: str, case: Any, op: str, args: Mapping[str, Any], arrays: Mapping[str, np.ndarray | None],
              wants: Mapping[str, Want], extract: Any = None) -> None:
        """Compares the arrays of an answer with what is wanted. extract makes the arrays from the answer, if given."""
        got: dict[str, dict[str, np.ndarray] | str] = {}
        for instructions, worker in self.workers.items():
            try:
                answer = worker.ask_arrays(op, args, arrays)
                got[instructions] = extract(answer) if extract else answer.arrays
            except Refused as e:
                got[instructions] = str(e)
        self.compare(name, case, got, wants)

    def compare(self, name: str, case: Any, got: Mapping[str, dict[str, np.ndarray] | str], wants: Mapping[str, Want]) -> None:
        group = self.groups.setdefault(name, Group())
        group.cases += 1
        group.comparisons += len(wants)
        for instructions, arrays in got.items():
            errors = {"": math.inf} if isinstance(arrays, str) else {
                k: w.error(arrays[k]) if k in arrays else math.inf for k, w in wants.items()
            }
            tensor, error = max(errors.items(), key=lambda e: e[1])
            if error > max(group.largest.values(), default=-1):
                group.worst = f"{tensor} of {case}"
            group.largest[instructions] = max(group.largest.get(instructions, 0.0), error)
            group.failed.setdefault(instructions, 0)
            if not error <= 1:
                group.failed[instructions] += 1
                if len(group.failures) < 8:
                    text = arrays if isinstance(arrays, str) else f"{tensor} off by {error:.3g} times the tolerance"
                    group.failures.append(f"{instructions}: {text}: {case}")

    def data(self) -> dict[str, Any]:
        return {name: asdict(g) for name, g in self.groups.items()}
