"""Writes what the cases gave as Markdown."""

from __future__ import annotations

import datetime
import platform
import re
from collections import Counter
from pathlib import Path
from typing import Any

Data = dict[str, Any]
TEXT = {"group", "instruction set", "operator", "reason", "difference", ""}  # columns of words

# Where both programs are right by their own definitions.
CONVENTIONS = [
    ("glorot and glorot-uniform for convolutions in groups",
     "the fan-out: ours counts the outputs that an input reaches, which are those of its group; PyTorch's the outputs of all groups, because "
     "it sees only the weight's shape. The cases count as ours does"),
    ("soft targets with class weights",
     "the mean: ours is divided by the sum of the targets' weights, as for labels (device.LossSpec); PyTorch's by the number of examples. "
     "The cases divide as ours does"),
    ("a batch in which every example is ignored",
     "PyTorch's mean is 0/0 and its gradient NaN; our gradient is 0. No case has such a batch"),
    ("softplus above 20", "PyTorch's default is a line from there on; ours is log(1+exp(x)) everywhere. The oracle has no such threshold"),
    ("lion, muon, lars, lamb",
     "PyTorch has no Lion, LARS or LAMB, and its Muon computes in bfloat16: the cases follow the formulas in nn/optim/lion.go and "
     "nn/optim/muon.go, and the algorithms of You et al. 2017 and 2020 for LARS and LAMB, in float64. Where a length is 0, the papers' "
     "ratio is undefined; ours is 1"),
]


def table(header: list[str], rows: list[list[str]]) -> list[str]:
    """A table. Columns of numbers are aligned to the right."""
    rule = ["---" if name in TEXT else "---:" for name in header]
    return ["| " + " | ".join(cells) + " |" for cells in [header, rule, *rows]] + [""]


def number(x: float) -> str:
    return f"{x:.3f}" if x < 10 else f"{x:.3g}"


def facts(parts: list[Data], sets: list[str], command: str) -> list[str]:
    """What was compared, on which machine, and by which command."""
    cpuinfo = Path("/proc/cpuinfo")
    name = re.search(r"^model name\s*:\s*(.+)$", cpuinfo.read_text(), re.MULTILINE) if cpuinfo.exists() else None
    versions = {k: v for p in parts for k, v in p["versions"].items()}
    rows = [
        ("date", datetime.date.today().isoformat()),
        ("processor", f"{name[1].strip() if name else platform.processor()}, {platform.system()} {platform.machine()}"),
        ("instruction sets", ", ".join(sets)),
        ("versions", "; ".join([f"trainer {parts[0]['worker']['version']}", *(f"{k} {v}" for k, v in versions.items())])),
        ("command", f"`{command}`"),
    ]
    return ["| | |", "|---|---|", *(f"| {k} | {v} |" for k, v in rows), ""]


# ------------------------------------------------------------------------------------------------------------ ONNX


def onnx_counts(outcomes: list[Data]) -> Counter[str]:
    """The first operators' cases by status; failures of the further operators count too."""
    return Counter(o["status"] for o in outcomes if not o["further"] or o["status"] == "failed")


def onnx_section(data: Data) -> list[str]:
    """The part about ONNX."""
    sets: dict[str, list[Data]] = data["outcomes"]
    rows = []
    for name, every in sets.items():
        for which, further in (("", False), (", further operators", True)):
            outcomes = [o for o in every if o["further"] == further]
            c = Counter(o["status"] for o in outcomes)
            largest = max(o["error"] for o in outcomes if o["status"] == "passed")
            counts = [str(c[k]) for k in ("passed", "failed", "convention", "not expressible")]
            rows.append([name + which, str(len(outcomes)), *counts, number(largest)])
    any_set = next(iter(sets.values()))
    partly = sum(o["missing"] > 0 for o in any_set if o["status"] == "passed")
    lines = ["## ONNX's operator tests", ""]
    lines += ["The first operators are those of layers, losses and rules; most of the further ones are those of the small plans.", ""]
    lines += table(["instruction set", "cases", "passed", "failed", "convention", "not expressible", "largest error"], rows)
    lines += [f"Of the passed cases, {partly} have a second output that this project doesn't have, which is not compared: the mask of dropout, "
              "the positions of maxima, the means of a normalisation.", ""]
    lines += by_operator(sets)
    lines += ["### Not expressible, and conventions", ""]
    reasons = Counter((o["status"], o["reason"]) for o in any_set if o["status"] in ("not expressible", "convention"))
    named = [(r if status == "not expressible" else f"convention: {r}", n) for (status, r), n in reasons.most_common()]
    lines += table(["reason", "cases"], [[reason, str(n)] for reason, n in named])
    lines += failures([f"{name}: {o['name']}: {o['reason']}" for name, outcomes in sets.items() for o in outcomes if o["status"] == "failed"])
    return lines


def by_operator(sets: dict[str, list[Data]]) -> list[str]:
    any_set = next(iter(sets.values()))
    rows = []
    for operator in dict.fromkeys(o["operator"] for o in sorted(any_set, key=lambda o: (o["further"], o["operator"]))):
        mine = [o for o in any_set if o["operator"] == operator]
        every = [o for outcomes in sets.values() for o in outcomes if o["operator"] == operator]
        passed = sum(all(o["status"] == "passed" for o in every if o["name"] == m["name"] and o["suite"] == m["suite"]) for m in mine)
        errors = [o["error"] for o in every if o["status"] == "passed"]
        left = sum(o["status"] == "not expressible" for o in mine)
        rows.append([operator, str(len(mine)), str(passed), str(left), number(max(errors)) if errors else ""])
    return table(["operator", "cases", "passed", "not expressible", "largest error"], rows)


# ---------------------------------------------------------------------------------------------------------- PyTorch


def torch_failed(data: Data) -> int:
    return sum(n for g in data["groups"].values() for n in g["failed"].values())


def torch_section(data: Data) -> list[str]:
    """The part about PyTorch."""
    groups: Data = data["groups"]
    sets = list(next(iter(groups.values()))["failed"])
    total = sum(g["cases"] for g in groups.values())
    compared = sum(g["comparisons"] for g in groups.values())
    lines = ["## PyTorch in float64", ""]
    lines += [f"{total:,} random cases (seed {data['seed']}), {compared:,} tensors compared, in each of {len(sets)} instruction sets. "
              f"The last columns are the largest error of any element, in units of its tolerance.", ""]
    rows = [
        [name, str(g["cases"]), str(g["comparisons"]), str(g["cases"] - max(g["failed"].values()))] + [number(g["largest"][s]) for s in sets]
        for name, g in groups.items()
    ]
    lines += table(["group", "cases", "tensors", "passed", *sets], rows)
    if data.get("uncovered"):
        lines += [f"No case covers: {', '.join(data['uncovered'])}.", ""]
    lines += ["### Conventions", ""]
    lines += table(["difference", "reason"], [list(c) for c in CONVENTIONS])
    lines += failures([text for g in groups.values() for text in g["failures"]])
    return lines


def failures(texts: list[str]) -> list[str]:
    return ["### Failed", "", *(f"- {t}" for t in texts), ""] if texts else []


# ---------------------------------------------------------------------------------------------------------- the file

READING = (
    "Every case is computed in float32 by this project's CPU device and compared with what the other program says. The tolerance "
    "of each element follows from the rounding errors of its terms, as in [nn/device/devicetest](../../nn/device/devicetest); an error of 1 would be all "
    "of it. Method: [bench/conformance](../../bench/conformance/README.md)."
)


def document(parts: dict[str, Data], sets: list[str], command: str) -> str:
    """The file for the parts that ran."""
    lines = ["# Conformance with ONNX and PyTorch", "", *facts(list(parts.values()), sets, command), READING, ""]
    if "onnx" in parts:
        lines += onnx_section(parts["onnx"])
    if "torch" in parts:
        lines += torch_section(parts["torch"])
    return "\n".join(lines).rstrip() + "\n"
