"""Random cases of layers, losses, rules, schedules, networks and initialisers, computed by this project in float32 and by
PyTorch in float64."""

from __future__ import annotations

import argparse
import json
import warnings
from pathlib import Path

import numpy as np
import torch

import oracle
import torch_layers
import torch_losses
import torch_networks
import torch_rules
from client import workers
from report import Recorder


def uncovered(info: dict) -> list[str]:
    """The kinds that recipes can name and no case covers."""
    covered = {
        "layers": set(oracle.LAYERS), "losses": set(torch_losses.COUNTS),
        "rules": {"muon"} | {r["kind"] for r in torch_rules.rules()} | {r["kind"] for r, _ in torch_rules.layerwise()},
        "schedules": {"plateau"} | {table["kind"] for _, table, *_ in torch_rules.schedules()},
    }
    return [kind for family, kinds in covered.items() for kind in sorted(set(info[family]) - kinds)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-worker", action="append", required=True, help="INSTRUCTIONS=PROGRAM; may be repeated")
    parser.add_argument("-out", type=Path, required=True, help="file for the results, JSON")
    parser.add_argument("-seed", type=int, default=1)
    parser.add_argument("-share", type=float, default=1.0, help="share of the cases to run")
    args = parser.parse_args()
    torch.set_num_threads(1)
    torch.set_default_dtype(torch.float64)
    warnings.filterwarnings("ignore", module="torch")  # about the order of calls of schedules
    all = workers(args.worker)
    recorder = Recorder(all)
    for module in (torch_layers, torch_losses, torch_rules, torch_networks):
        module.run(recorder, args.seed, args.share)
    versions = {"torch": torch.__version__, "numpy": np.__version__}
    args.out.write_text(json.dumps({
        "worker": recorder.any.info, "versions": versions, "seed": args.seed, "groups": recorder.data(),
        "uncovered": uncovered(recorder.any.info),
    }))
    for worker in all.values():
        worker.close()


if __name__ == "__main__":
    main()
