"""Takes the headers and the parser out of the wheels: extract.py WHEELS OUT.

OUT/python receives the package clang; OUT/NAME the headers of nvidia-NAME, without folders.
"""

import sys
import zipfile
from pathlib import Path


def write(file, data):
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(data)


wheels, out = Path(sys.argv[1]), Path(sys.argv[2])
for wheel in sorted(wheels.glob("*.whl")):
    name = wheel.name.split("-")[0]
    with zipfile.ZipFile(wheel) as archive:
        if name == "libclang":
            for member in archive.namelist():
                inner = member.partition("/platlib/")[2]
                if inner:
                    write(out / "python" / inner, archive.read(member))
            continue
        folder = out / name.removeprefix("nvidia_").replace("_", "-")
        for member in archive.namelist():
            inner = member.partition("/include/")[2]
            if inner.endswith((".h", ".hpp")):
                write(folder / inner, archive.read(member))
