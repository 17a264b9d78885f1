#!/usr/bin/env python3
"""Compares the efficiency of two ranks with PyTorch's DistributedDataParallel over gloo, on the same cores:

    bench/peers/ddp.py -python .venv/bin/python3 -trainer ./trainer            # network mnist
    bench/peers/ddp.py -rows mnist airbench94 -data-dir DIR -seconds 10 ...    # DIR has the files of CIFAR-10

Each rank is a process with one thread, bound to a core of its own, and has the network's batch divided by the number of ranks.
One rank is the same program alone with the whole batch on one core. The efficiency is the images per second of the ranks, divided by
their number and by those of one rank. PyTorch gets normalised images that are in memory; this project's step also reads, augments
and converts them. The measurements take turns. Without Open MPI's mpirun only PyTorch is measured.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

FOLDER = Path(__file__).resolve().parent
RANKS = (1, 2)


def free_port() -> int:
    """A port of the loopback that nobody listens on."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return int(s.getsockname()[1])


def rank_of_torch(row: str, seconds: float) -> None:
    """One rank of PyTorch, in a process of its own; rank 0 prints images per second."""
    import torch
    import torch.distributed as dist

    import network
    import peer_torch

    rank, size = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
    torch.set_num_threads(1)
    net = network.load(row)
    net = network.load(row, batch=net.batch // size)
    model: torch.nn.Module = peer_torch.build_model(net)
    x, y = peer_torch.tensors(net, "channels_last")[0]
    model = model.to(memory_format=torch.channels_last)
    if size > 1:
        dist.init_process_group("gloo")
        model = torch.nn.parallel.DistributedDataParallel(model)
    step = peer_torch.training_step(model, net, "channels_last")
    for _ in range(3):
        step(x, y)
    steps, start = 0, time.perf_counter()
    while True:
        step(x, y)
        steps += 1
        done = torch.tensor([float(time.perf_counter() - start >= seconds)])
        if size > 1 and steps % 4 == 0:  # all end after the same step
            dist.all_reduce(done)
        elif size > 1:
            continue
        if done.item() > 0:
            break
    if rank == 0:
        print(json.dumps({"images_per_second": steps * net.batch * size / (time.perf_counter() - start)}))
    if size > 1:
        # A process that the interpreter ends sometimes dies in gloo's threads ("terminate called without an active exception").
        dist.barrier()
        sys.stdout.flush()
        os._exit(0)


def measure_torch(args: argparse.Namespace, row: str, size: int) -> float:
    """Images per second of so many ranks of PyTorch."""
    env = dict(os.environ, WORLD_SIZE=str(size), MASTER_ADDR="127.0.0.1", MASTER_PORT=str(free_port()), OMP_NUM_THREADS="1",
               GLOO_SOCKET_IFNAME="lo")
    ranks = [
        subprocess.Popen(
            ["taskset", "-c", str(rank), str(args.python), __file__, "-worker", row, "-seconds", str(args.seconds)],
            env=dict(env, RANK=str(rank)), cwd=FOLDER, stdout=subprocess.PIPE, text=True)
        for rank in range(size)
    ]
    outputs = [r.communicate()[0] for r in ranks]
    if any(r.returncode for r in ranks):
        sys.exit(f"ddp.py: PyTorch failed on {row} with {size} ranks")
    return float(json.loads(outputs[0].splitlines()[-1])["images_per_second"])


def measure_trainer(args: argparse.Namespace, row: str, size: int) -> float:
    """Images per second of so many ranks of this project."""
    with tempfile.TemporaryDirectory() as folder:
        command = [str(args.trainer), "-device", "cpu", "-threads", "1", "-recipe", str(FOLDER / "networks" / f"{row}.toml"),
                   "-data", args.data[row], "-set", "eval-every=0", "-shards", str(size), "-epochs", str(args.epochs), "-quiet",
                   "-out", f"{folder}/run"]
        if args.data_dir and args.data[row] == "cifar10":
            command += ["-data-dir", args.data_dir]
        if size == 1:
            command = ["taskset", "-c", "0", *command]
        else:
            mpi = [args.mpirun, "--bind-to", "core", "-n", str(size)]
            command = [*mpi, *(["--allow-run-as-root"] if os.geteuid() == 0 else []), *command]
        done = subprocess.run(command, stdout=subprocess.DEVNULL, check=False)
        if done.returncode:
            sys.exit(f"ddp.py: trainer failed on {row} with {size} ranks")
        return float(json.loads(Path(folder, "run", "summary.json").read_text())["images_per_second"])


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-rows", nargs="+", default=["mnist"], help="networks, files of networks/ without .toml (default mnist)")
    parser.add_argument("-rounds", type=int, default=3, help="measurements of each program (default 3)")
    parser.add_argument("-seconds", type=float, default=5.0, help="seconds per measurement of PyTorch (default 5)")
    parser.add_argument("-epochs", type=float, default=0.5, help="epochs per measurement of trainer (default 0.5)")
    parser.add_argument("-python", type=Path, default=FOLDER / ".venv/bin/python3", help="Python with PyTorch")
    parser.add_argument("-trainer", type=Path, default=FOLDER.parent.parent / "trainer", help="program built with C (default ./trainer)")
    parser.add_argument("-data-dir", help="folder with the files of CIFAR-10, for its networks")
    parser.add_argument("-mpirun", default=shutil.which("mpirun.openmpi") or shutil.which("mpirun"), help="Open MPI's mpirun")
    parser.add_argument("-worker", help=argparse.SUPPRESS)
    args = parser.parse_args()
    args.python, args.trainer = args.python.absolute(), args.trainer.absolute()
    args.data = {row: "mnist" if row == "mnist" else "cifar10" for row in args.rows}
    return args


def main() -> None:
    """Measures in turns, and prints a table."""
    args = arguments()
    if args.worker:
        rank_of_torch(args.worker, args.seconds)
        return
    print(f"| network | program | {' | '.join(f'{n} rank(s), images/s' for n in RANKS)} | efficiency of {RANKS[-1]} |")
    print("|---|---|" + "---:|" * (len(RANKS) + 1))
    for row in args.rows:
        speeds: dict[str, dict[int, list[float]]] = {}
        for _ in range(args.rounds):
            for size in RANKS:
                speeds.setdefault("PyTorch DDP, gloo", {}).setdefault(size, []).append(measure_torch(args, row, size))
                if args.mpirun:
                    speeds.setdefault("trainer, MPI", {}).setdefault(size, []).append(measure_trainer(args, row, size))
        for program, by_size in speeds.items():
            rates = [statistics.median(by_size[n]) for n in RANKS]
            efficiency = rates[-1] / rates[0] / RANKS[-1]
            print(f"| {row} | {program} | {' | '.join(f'{r:,.0f}' for r in rates)} | {100 * efficiency:.0f}% |", flush=True)


if __name__ == "__main__":
    main()
