"""Compiles kernels/*.cu to PTX with NVRTC, checks the PTX with a new ptxas, assembles it to cubins with an older one, and
writes:

    code/MODULE.ptx     one per module
    code/MODULE.sm_NN   a cubin per module and architecture
    manifest.json       what ties the code to the sources: see kernels.go
    resources.tsv       registers and shared memory of each kernel on each architecture
    names.go            a constant for each kernel, except those of activations

Usage: compile.py KERNELS_FOLDER OUT_FOLDER

Python packages of wheels.txt must be importable. A source that names its kernels KERNEL(name) gives three
modules, one for each storage type (storage.cuh); any other gives one. A kernel that spills registers to
memory on any architecture is an error; the older assembler may spill a few bytes.
"""

import concurrent.futures
import ctypes
import hashlib
import importlib.metadata
import json
import os
import re
import subprocess
import sys
import tempfile

# The PTX is checked for these.
ARCHITECTURES = [75, 80, 86, 89, 90, 100, 120]

# There are cubins for these. A GPU runs cubins of its major version up to its own minor version: 8.6 and 8.9 run those of 8.0.
CUBINS = [75, 80, 90, 100, 120]

# Bytes of registers that the assembler of cubins may spill in a kernel in which the newer one, as in drivers, spills none.
MAX_SPILLED = 8

# Suffix of the module, macros, lowest architecture.
STORAGES = [
    ("_f32", [], 75),
    ("_f16", ["STORAGE_FLOAT16"], 75),
    ("_bf16", ["STORAGE_BFLOAT16"], 80),
]

KINDS = {".u64": "pointer", ".u32": "int", ".f32": "float"}


class Failure(Exception):
    """Why there is no code; the program ends with it."""


def fail(message):
    raise Failure(message)


def installed(package, name):
    """The path of the only file with this name in an installed package."""
    files = importlib.metadata.files(package) or []
    for f in files:
        if f.name == name:
            return str(f.locate())
    fail(f"no file {name} in {package}: install wheels.txt")


class NVRTC:
    def __init__(self):
        self.lib = ctypes.CDLL(installed("nvidia-cuda-nvrtc-cu12", "libnvrtc.so.12"))
        major, minor = ctypes.c_int(), ctypes.c_int()
        self.check(self.lib.nvrtcVersion(ctypes.byref(major), ctypes.byref(minor)), "nvrtcVersion")
        self.version = importlib.metadata.version("nvidia-cuda-nvrtc-cu12")
        if not self.version.startswith(f"{major.value}.{minor.value}."):
            fail(f"the library is NVRTC {major.value}.{minor.value}, the package {self.version}")
        runtime = os.path.dirname(installed("nvidia-cuda-runtime-cu12", "cuda_fp16.h"))
        target = installed("nvidia-cuda-cccl-cu12", "target")  # nv/target
        self.includes = [runtime, os.path.dirname(os.path.dirname(target))]

    def check(self, result, what):
        if result != 0:
            self.lib.nvrtcGetErrorString.restype = ctypes.c_char_p
            fail(f"{what}: {self.lib.nvrtcGetErrorString(result).decode()}")

    def text(self, program, size, get):
        n = ctypes.c_size_t()
        self.check(size(program, ctypes.byref(n)), "size")
        buffer = ctypes.create_string_buffer(n.value)
        self.check(get(program, buffer), "text")
        return buffer.value.decode()

    def compile(self, folder, source, macros, architecture):
        program = ctypes.c_void_p()
        with open(os.path.join(folder, source), "rb") as f:
            text = f.read()
        self.check(
            self.lib.nvrtcCreateProgram(ctypes.byref(program), text, source.encode(), 0, None, None),
            "nvrtcCreateProgram",
        )
        options = ["--std=c++17", f"--gpu-architecture=compute_{architecture}", f"--include-path={folder}"]
        options += [f"--include-path={i}" for i in self.includes]
        options += [f"--define-macro={m}" for m in macros]
        array = (ctypes.c_char_p * len(options))(*[o.encode() for o in options])
        result = self.lib.nvrtcCompileProgram(program, len(options), array)
        log = self.text(program, self.lib.nvrtcGetProgramLogSize, self.lib.nvrtcGetProgramLog)
        if result != 0 or "warning" in log:
            fail(f"{source} {' '.join(macros)}:\n{log}")
        return self.text(program, self.lib.nvrtcGetPTXSize, self.lib.nvrtcGetPTX)


def compact(ptx):
    """The PTX without comments, blank lines, and constants of headers that nothing uses."""
    lines = [line.split("//")[0].rstrip() for line in ptx.splitlines()]
    text = "\n".join(lines)

    def unused(line):
        name = re.match(r"\.global .*?(\w+)(\[\d+\])?( = .*)?;$", line)
        return name and len(re.findall(rf"\b{name[1]}\b", text)) == 1

    return "".join(line + "\n" for line in lines if line and not unused(line))


def included(folder, source, seen):
    """The source and all files of ours that it includes, itself or through others."""
    if source in seen:
        return seen
    seen.append(source)
    with open(os.path.join(folder, source)) as f:
        for name in re.findall(r'^#include "([^"]+)"', f.read(), re.M):
            included(folder, name, seen)
    return seen


def sha256(data):
    return hashlib.sha256(data).hexdigest()


def entries(ptx):
    """Name and kinds of parameters of each kernel."""
    found = []
    for name, parameters in re.findall(r"\.visible \.entry (\w+)\((.*?)\)", ptx, re.S):
        kinds = []
        for parameter in filter(None, (p.strip() for p in parameters.split(","))):
            kind = parameter.split()[1]
            if kind not in KINDS:
                fail(f"{name}: a parameter of PTX type {kind}; pointers, int and float are allowed")
            kinds.append(KINDS[kind])
        found.append((name, kinds))
    return sorted(found)


def assemble(ptxas, ptx, architecture, max_spilled):
    """Registers and shared memory of each kernel, and the cubin; fails if a kernel spills more bytes than that."""
    with tempfile.TemporaryDirectory() as temp:
        path, output = os.path.join(temp, "ptx"), os.path.join(temp, "cubin")
        with open(path, "w") as f:
            f.write(ptx)
        run = subprocess.run(
            [ptxas, "-v", f"-arch=sm_{architecture}", "ptx", "-o", "cubin"], cwd=temp, capture_output=True, text=True
        )
        if run.returncode != 0:
            fail(f"ptxas for sm_{architecture}: {run.stdout}{run.stderr}")
        with open(output, "rb") as f:
            cubin = f.read()
    resources, name = {}, None
    for line in (run.stdout + run.stderr).splitlines():
        if match := re.search(r"Compiling entry function '(\w+)'", line):
            name = match[1]
        elif match := re.search(r"(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads", line):
            if max(int(match[2]), int(match[3])) > max_spilled:
                fail(f"{name} spills registers on sm_{architecture}: {line.strip()}")
        elif match := re.search(r"Used (\d+) registers", line):
            shared = re.search(r"(\d+) bytes smem", line)
            resources[name] = (int(match[1]), int(shared[1]) if shared else 0)
    return resources, cubin


def modules(folder):
    """Name, source, macros and lowest architecture of each module."""
    for source in sorted(f for f in os.listdir(folder) if f.endswith(".cu")):
        base = source.removesuffix(".cu")
        with open(os.path.join(folder, source)) as f:
            text = f.read()
        needs = re.search(r"^// Needs compute capability (\d)\.(\d)\.", text, re.M)
        least = int(needs[1] + needs[2]) if needs else 75
        if "KERNEL(" not in text:
            yield base, source, [], least
            continue
        for suffix, macros, architecture in STORAGES:
            yield base + suffix, source, macros, max(architecture, least)


SPELLINGS = {
    "relu": "ReLU", "gelu": "GELU", "silu": "SiLU", "sgd": "SGD", "rmsprop": "RMSProp",
    "batchnorm": "BatchNorm", "groupnorm": "GroupNorm", "pool2d": "Pool2D",
}


def constant(name):
    """The Go name of a kernel."""
    return "".join(SPELLINGS.get(word, word.capitalize()) for word in name.split("_"))


def names(manifest):
    """names.go: constants of type Family for kernels that exist for several storage types, of type Name for the others."""
    families, single = {}, []
    # Kernels that a list in the sources makes, one for each function: they are found by the function's name.
    listed = re.compile(r"activation_\w+_(forward|backward)|batchnorm_(normalize|sums|backward)_\w+")
    for module in manifest:
        suffix = next((s for s, _, _ in STORAGES if module["name"].endswith(s)), None)
        for kernel in module["kernels"]:
            if suffix is None:
                single.append(kernel["name"])
            elif not listed.fullmatch(kernel["name"].removesuffix(suffix)):
                families.setdefault(kernel["name"].removesuffix(suffix), []).append(suffix[1:])
    lines = ["// Code generated by scripts/kernels.sh. DO NOT EDIT.", "", "package kernels", ""]
    lines += ["// Kernels that exist for several storage types: see Family.In.", "const ("]
    for family, storages in sorted(families.items()):
        note = "" if len(storages) == len(STORAGES) else " // only " + ", ".join(storages)
        lines.append(f'{constant(family)} Family = "{family}"{note}')
    lines += [")", "", "// Kernels that exist once.", "const ("]
    lines += [f'{constant(name)} Name = "{name}"' for name in sorted(single)]
    return "\n".join(lines) + "\n)\n"


def compiled(folder, pool):
    """Each module that has kernels: name, source, macros, lowest architecture, PTX, and futures of what the assemblers
    return for each architecture. They work while the next module is compiled."""
    nvrtc = NVRTC()
    check, make = installed("nvidia-cuda-nvcc", "ptxas"), installed("nvidia-cuda-nvcc-cu12", "ptxas")
    found = []
    for name, source, macros, least in modules(folder):
        ptx = compact(nvrtc.compile(folder, source, macros, least))
        if not entries(ptx):
            continue  # a source without kernels for this storage type
        checked = {a: pool.submit(assemble, check, ptx, a, 0) for a in ARCHITECTURES if a >= least}
        cubins = {a: pool.submit(assemble, make, ptx, a, MAX_SPILLED) for a in CUBINS if a >= least}
        found.append((name, source, macros, least, ptx, checked, cubins))
    return nvrtc.version, found


def hashes(folder, source):
    """SHA-256 of the source and of all files of ours that it includes."""
    found = {}
    for name in sorted(included(folder, source, [])):
        with open(os.path.join(folder, name), "rb") as f:
            found[name] = sha256(f.read())
    return found


def main():
    folder, out = sys.argv[1:]
    code = os.path.join(out, "code")
    os.makedirs(code)
    manifest, rows = [], []
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        try:
            nvrtc, found = compiled(folder, pool)
            for name, source, macros, least, ptx, checked, cubins in found:
                resources = {a: future.result()[0] for a, future in checked.items()}
                cubins = {a: future.result()[1] for a, future in cubins.items()}
                with open(os.path.join(code, name + ".ptx"), "w") as f:
                    f.write(ptx)
                for a, cubin in cubins.items():
                    with open(os.path.join(code, f"{name}.sm_{a}"), "wb") as f:
                        f.write(cubin)
                kernels = []
                for kernel, kinds in entries(ptx):
                    shared = max(r[kernel][1] for r in resources.values())
                    kernels.append({"name": kernel, "parameters": kinds, "shared": shared})
                    registers = [str(resources[a][kernel][0]) if a in resources else "-" for a in ARCHITECTURES]
                    rows.append([kernel, str(shared), *registers])
                manifest.append(
                    {
                        "name": name,
                        "source": source,
                        "macros": macros,
                        "target": f"compute_{least}",
                        "isa": re.search(r"^\.version (\S+)", ptx, re.M)[1],
                        "files": hashes(folder, source),
                        "ptx": sha256(ptx.encode()),
                        "cubins": {str(a): sha256(cubin) for a, cubin in cubins.items()},
                        "kernels": kernels,
                    }
                )
        except Failure as failure:
            pool.shutdown(cancel_futures=True)
            sys.exit(f"compile.py: {failure}")
    versions = {
        "nvrtc": nvrtc,
        "ptxas": importlib.metadata.version("nvidia-cuda-nvcc"),
        "cubins": importlib.metadata.version("nvidia-cuda-nvcc-cu12"),
    }
    with open(os.path.join(out, "manifest.json"), "w") as f:
        json.dump(versions | {"modules": manifest}, f, indent="\t")
        f.write("\n")
    with open(os.path.join(out, "names.go"), "w") as f:
        f.write(names(manifest))
    with open(os.path.join(out, "resources.tsv"), "w") as f:
        f.write(f"# Written by scripts/kernels.sh: ptxas {versions['ptxas']} on each architecture. No kernel spills registers.\n")
        header = ["kernel", "shared bytes", *(f"registers sm_{a}" for a in ARCHITECTURES)]
        for row in [header, *rows]:
            f.write("\t".join(row) + "\n")


if __name__ == "__main__":
    main()
