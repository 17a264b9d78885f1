"""Runs ONNX's operator tests by this project's layers, losses, rules and plans.

The cases are those of the package onnx: the models of its node tests and of the networks that it converted from PyTorch, each
with inputs and expected outputs. A case counts if its model is one node of an operator in onnx_operators.py.

A case passes if it satisfies two conditions for each output: that of ONNX's own test runner, and the bound of
nn/device/reference/sums.go for a sum of k terms. The expected values are float32 results as well, so both sides may be off
by that bound:

    |got - want| <= 1e-7 + 1e-3 |want|    and    |got - want| <= 2 (2 + sqrt(k)) 2^-23 max|want|

k = 36 stands for operators without a sum, whose bound in sums.go is 8 units in the last place.
"""

from __future__ import annotations

import argparse
import json
import math
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import numpy_helper

from client import Refused, workers
from onnx_operators import FUNCTION_TERMS, FURTHER, OPERATORS, Array, NotExpressible, Plans

ALL = {**OPERATORS, **FURTHER}
ULP = 2.0**-23

# Cases whose difference is a convention, with the reason. They count neither as passed nor as failed.
CONVENTIONS = {
    name: "the running variance: ONNX's is biased (divided by n), ours unbiased (by n - 1), as PyTorch's"
    for name in ("test_batchnorm_example_training_mode", "test_batchnorm_epsilon_training_mode")
}

# Cases whose numbers were printed to a few decimals, with how far that moves an output: here half a unit of the fourth
# decimal for the output itself, and 4/9 of it for the mean of 4 such inputs and 5 zeros.
DECIMALS = {"test_averagepool_2d_ceil_last_window_starts_on_pad": 0.5e-4 * (1 + 4 / 9)}


@dataclass
class Case:
    """A model with inputs and outputs."""

    suite: str
    name: str
    model: onnx.ModelProto
    inputs: list[Any]
    outputs: list[Any]


@dataclass
class Outcome:
    """What became of a case."""

    suite: str
    name: str
    operator: str
    further: bool  # the operator is in FURTHER
    status: str  # passed, failed, not expressible, convention
    reason: str = ""
    error: float = 0.0  # the largest error in units of the tolerance
    missing: int = 0  # outputs that this project doesn't have, such as the mask of dropout


# Nodes around an operator that only change the layout.
LAYOUT: dict[str, Callable[..., Array]] = {
    "Unsqueeze": lambda a, x, axes=None: np.expand_dims(x, tuple(a["axes"] if "axes" in a else axes)),
    "Squeeze": lambda a, x, axes=None: np.squeeze(x, tuple(a["axes"] if "axes" in a else axes)),
    "Transpose": lambda a, x: np.ascontiguousarray(np.transpose(x, a["perm"])),
}


def cases() -> Iterator[Case]:
    """All cases of the package onnx."""
    from onnx.backend.test.case.node import collect_testcases

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for c in collect_testcases(""):
            if c.model is not None and c.data_sets:
                yield Case("node", c.name, c.model, list(c.data_sets[0][0]), list(c.data_sets[0][1]))
    folder = Path(onnx.__file__).parent / "backend" / "test" / "data"
    for suite in ("pytorch-converted", "pytorch-operator", "simple"):
        for path in sorted((folder / suite).iterdir()):
            data = path / "test_data_set_0"
            if data.is_dir():
                try:
                    inputs, outputs = tensors(data, "input"), tensors(data, "output")
                except Exception:  # a sequence or an optional value, which no operator here takes
                    continue
                yield Case(suite, path.name, onnx.load(path / "model.onnx"), inputs, outputs)


def tensors(folder: Path, prefix: str) -> list[Array]:
    """The arrays of the files PREFIX_0.pb, PREFIX_1.pb and so on."""
    count = len(list(folder.glob(prefix + "_*.pb")))
    return [numpy_helper.to_array(onnx.load_tensor(folder / f"{prefix}_{i}.pb")) for i in range(count)]


def operator_of(model: onnx.ModelProto) -> str | None:
    """The model's only operator, apart from changes of the layout; None if it has another one or several."""
    kinds = [n.op_type for n in model.graph.node]
    known = [k for k in kinds if k in ALL]
    if len(known) != 1 or len(kinds) > 1 and kinds not in (["Unsqueeze", "AveragePool", "Squeeze"], ["Transpose", "MatMul"]):
        return None
    return known[0]


def array(v: Any) -> Array:
    return numpy_helper.to_array(v) if isinstance(v, onnx.TensorProto) else np.asarray(v)


def evaluate(p: Plans, case: Case) -> tuple[list[Array | None], int]:
    """The model's outputs and the number of terms of its sums."""
    graph = case.model.graph
    known: dict[str, Array | None] = {i.name: numpy_helper.to_array(i) for i in graph.initializer}
    names = [i.name for i in graph.input]
    free = [n for n in names if n not in known]
    known.update(zip(free if len(free) == len(case.inputs) else names, map(array, case.inputs)))
    version = max([o.version for o in case.model.opset_import if o.domain in ("", "ai.onnx")] or [1])
    terms = FUNCTION_TERMS
    for node in graph.node:
        attributes = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
        operands = [known[name] if name else None for name in node.input]
        if node.op_type in LAYOUT:
            known[node.output[0]] = LAYOUT[node.op_type](attributes, *operands)
            continue
        extra = {"version": version} if node.op_type in ("Softmax", "LogSoftmax") else {}
        results = ALL[node.op_type](p, attributes, *operands, **extra)
        terms = results.terms
        known.update(zip(node.output, results.values))
    return [known.get(o.name) for o in graph.output], terms


def run_case(p: Plans, case: Case, operator: str) -> Outcome:
    outcome = Outcome(case.suite, case.name, operator, operator in FURTHER, "passed")
    try:
        got, terms = evaluate(p, case)
    except NotExpressible as e:
        outcome.status, outcome.reason = "not expressible", str(e)
        return outcome
    except Refused as e:
        outcome.status, outcome.reason = "failed", str(e)
        return outcome
    for i, (g, want) in enumerate(zip(got, map(array, case.outputs))):
        if g is None:
            outcome.missing += 1
            continue
        compare(outcome, i, g, want, terms)
    return outcome


def compare(outcome: Outcome, i: int, got: Array, want: Array, terms: int) -> None:
    """Holds one output against both conditions."""
    if got.shape != want.shape:
        outcome.status, outcome.reason = "failed", f"output {i} has the shape {got.shape}, want {want.shape}"
        return
    if not want.size:
        return
    got, want = got.astype(np.float64), want.astype(np.float64)
    largest = np.abs(want[np.isfinite(want)]).max(initial=0)
    off = np.where((got == want) | (np.isnan(got) & np.isnan(want)), 0, np.abs(got - want))
    allowed = 2 * (2 + math.sqrt(terms)) * ULP * largest + DECIMALS.get(outcome.name, 0) + np.finfo(np.float32).smallest_subnormal
    error = float(np.nan_to_num(off.max() / allowed, nan=math.inf))
    outcome.error = max(outcome.error, error)
    if error > 1 or not np.allclose(got, want, rtol=1e-3, atol=1e-7, equal_nan=True):
        if outcome.name in CONVENTIONS:
            outcome.status, outcome.reason = "convention", CONVENTIONS[outcome.name]
        else:
            outcome.status, outcome.reason = "failed", f"output {i} is off by {error:.3g} times the tolerance"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("-worker", action="append", required=True, help="INSTRUCTIONS=PROGRAM; may be repeated")
    parser.add_argument("-out", type=Path, required=True, help="file for the outcomes, JSON")
    args = parser.parse_args()
    all = workers(args.worker)
    outcomes: dict[str, list[dict[str, Any]]] = {name: [] for name in all}
    for case in cases():
        operator = operator_of(case.model)
        if operator is not None:
            for name, worker in all.items():
                outcomes[name].append(vars(run_case(Plans(worker), case, operator)))
    info = next(iter(all.values())).info
    versions = {"onnx": onnx.__version__, "numpy": np.__version__}
    args.out.write_text(json.dumps({"worker": info, "versions": versions, "outcomes": outcomes}))
    for worker in all.values():
        worker.close()


if __name__ == "__main__":
    main()
