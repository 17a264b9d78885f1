"""The programs that are compared, with the settings that their documentation recommends."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from processes import Command

FOLDER = Path(__file__).resolve().parent
NETWORKS = FOLDER / "networks"

OURS = "trainer"

# The networks, in the order of the table.
ROWS = ["conv8", "mnist", "keras-cifar", "airbench93", "airbench94"]
# The network that this project also trains on one thread.
ONE_THREAD_ROW = "airbench94"

# PyTorch's tuning guide recommends an allocator that reuses memory. glibc's does if it is told to keep freed memory and to
# use large pages, which made training faster (see README.md); other systems ignore these variables.
PYTORCH = {
    "CUDA_VISIBLE_DEVICES": "",
    "MALLOC_MMAP_MAX_": "0",
    "MALLOC_TRIM_THRESHOLD_": str(1 << 40),
    "GLIBC_TUNABLES": "glibc.malloc.hugetlb=1",
}
# Intel and TensorFlow recommend oneDNN on x86; the log level only suppresses messages.
TENSORFLOW = {"CUDA_VISIBLE_DEVICES": "", "TF_ENABLE_ONEDNN_OPTS": "1", "TF_CPP_MIN_LOG_LEVEL": "2"}

MODES = [
    ("PyTorch", "contiguous", "peer_torch.py", PYTORCH),
    ("PyTorch", "channels_last", "peer_torch.py", PYTORCH),
    ("PyTorch", "compile", "peer_torch.py", PYTORCH),
    ("TensorFlow", "function", "peer_tensorflow.py", TENSORFLOW),
    ("TensorFlow", "jit", "peer_tensorflow.py", TENSORFLOW),
]


def ours(worker: Path, row: str, threads: int, extra: Sequence[str], mode: str = "float32") -> Command:
    """This project's worker for a network."""
    args = [str(worker), "--row", row, "--networks", str(NETWORKS), "--threads", str(threads), *extra]
    return Command(OURS, mode, args)


def peers(python: Path, row: str, threads: int, extra: Sequence[str]) -> list[Command]:
    """The other frameworks' workers for a network, one per mode."""
    return [
        Command(name, mode, [
            str(python), str(FOLDER / script), "--row", row, "--mode", mode, "--threads", str(threads), *extra,
        ], env)
        for name, mode, script, env in MODES
    ]


def conv_ours(worker: Path, threads: int) -> Command:
    """This project's worker for convolutions."""
    return Command(OURS, "conv", [str(worker), "--conv", "--threads", str(threads)])


def conv_peer(python: Path, threads: int) -> Command:
    """PyTorch's convolutions, which are oneDNN's."""
    return Command("oneDNN", "conv", [str(python), str(FOLDER / "conv_torch.py"), "--threads", str(threads)], PYTORCH)


# The other frameworks' ways to read pictures. DataLoader's worker processes decode with Pillow, one thread each.
LOADERS = [
    ("PyTorch", "DataLoader, Pillow", "pillow", PYTORCH),
    ("PyTorch", "DataLoader, Pillow with draft", "draft", PYTORCH),
    ("TensorFlow", "tf.data", "tensorflow", TENSORFLOW),
]


def load_ours(worker: Path, threads: int, folder: Path, size: int) -> Command:
    """This project's loader of a folder of pictures."""
    return Command(OURS, "loader", [str(worker), "--threads", str(threads), "--pictures", str(folder), "--size", str(size)])


def load_peers(python: Path, threads: int, folder: Path, size: int) -> list[Command]:
    """The other frameworks' loaders, with as many workers as threads."""
    return [
        Command(name, label, [
            str(python), str(FOLDER / "peer_loading.py"), "--mode", mode, "--workers", str(threads),
            "--pictures", str(folder), "--size", str(size),
        ], env)
        for name, label, mode, env in LOADERS
    ]
