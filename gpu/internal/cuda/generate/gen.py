"""Writes the headers, trampolines and status tables of this package from NVIDIA's headers.

Only facts of the interface are taken over: names, types, values and signatures of what
gorgonia.org/cu and this package use. Run it with scripts/cuda-headers.sh, which fetches the
headers and the parser (libclang).

    gen.py GORGONIA PACKAGE HEADERS OUT

GORGONIA is the source folder of gorgonia.org/cu, PACKAGE that of gpu/internal/cuda, HEADERS
holds a folder of headers for each name in SOURCES below, OUT receives the files.
"""

import re
import subprocess
import sys
import textwrap
from pathlib import Path

from clang.cindex import CursorKind as Kind, Index, TranslationUnit, TypeKind

COMMAND = "scripts/cuda-headers.sh"

# The headers that gorgonia compiles with, and those with the newest status codes.
SOURCES = ["cuda-runtime-cu12", "cuda-nvcc-cu12", "cublas-cu12", "cudnn-cu12"]
NEW_CUDA, NEW_CUDNN = "cuda-runtime", "cudnn-jit-cu12"

HEADERS = ["cuda.h", "cublas_v2.h", "cudnn.h"]
INCLUDES = {
    "cuda.h": ["<stddef.h>", "<stdint.h>", "<stdlib.h>"],
    "cublas_v2.h": ["<cuda.h>"],
    "cudnn.h": ["<cublas_v2.h>"],
}
# Names that C already has.
STANDARD = {"size_t", "int8_t", "uint8_t", "int32_t", "uint32_t", "int64_t", "uint64_t", "uintptr_t"}
# Written by hand in shim.c: it succeeds while no driver is loaded.
BY_HAND = {"cuInit"}
# Looked up by its name in shim.c: cuDNN 8's headers lack it.
BY_NAME = {"cudnnGetLastErrorString"}
AGGREGATES = {Kind.ENUM_DECL: "enum", Kind.STRUCT_DECL: "struct", Kind.UNION_DECL: "union"}


def parse(source, folders):
    """Parses a C text with the headers of the given folders, and the compiler's own."""
    own = subprocess.run(["cc", "-print-file-name=include"], capture_output=True, text=True, check=True)
    flags = ["-xc", "-std=c11", *(f"-I{f}" for f in folders), f"-I{own.stdout.strip()}"]
    # cuda_fp16.hpp asks for this one, of another package, and needs nothing of it in C.
    nothing = ("empty/nv/target", "\n")
    unit = Index.create().parse("all.c", args=[*flags, "-Iempty"], unsaved_files=[("all.c", source), nothing],
                                options=TranslationUnit.PARSE_DETAILED_PROCESSING_RECORD)
    errors = [str(d) for d in unit.diagnostics if d.severity >= 3]
    if errors:
        sys.exit("gen.py: cannot read the headers:\n" + "\n".join(errors))
    return unit


def header_of(cursor):
    """The header of ours that a declaration goes to; None for what is none of NVIDIA's."""
    name = Path(cursor.location.file.name).name if cursor.location.file else ""
    if name.startswith("cudnn"):
        return "cudnn.h"
    if name == "cuda.h":
        return "cuda.h"
    # cublas_api.h, and the types of the runtime that cuBLAS and cuDNN name.
    if name in ("driver_types.h", "library_types.h", "vector_types.h", "cuComplex.h") or name.startswith("cublas"):
        return "cublas_v2.h"
    return None


def identifiers(folders):
    """Every identifier of the Go and C files in the folders, outside comments that end a line."""
    names = set()
    for folder in folders:
        for file in sorted(folder.iterdir()):
            if file.suffix not in (".go", ".c", ".h") or file.name.endswith("_test.go") or file.name == "trampolines.h":
                continue
            for line in file.read_text().splitlines():
                # cgo's preambles are comments too: only lines of Go code with a comment behind are cut.
                if file.suffix == ".go" and not line.lstrip().startswith("//"):
                    line = line.split("//")[0]
                elif "#include" not in line and "#define" not in line and file.suffix == ".go":
                    continue
                names.update(re.findall(r"[A-Za-z_]\w*", line))
    return names


def core(ctype):
    """The type under pointers and arrays."""
    while True:
        if ctype.kind == TypeKind.POINTER:
            ctype = ctype.get_pointee()
        elif ctype.kind in (TypeKind.CONSTANTARRAY, TypeKind.INCOMPLETEARRAY):
            ctype = ctype.element_type
        else:
            return ctype


def declare(ctype, name=""):
    """C's declaration of name with the type."""
    if ctype.kind == TypeKind.CONSTANTARRAY:
        return declare(ctype.element_type, f"{name}[{ctype.element_count}]")
    if ctype.kind == TypeKind.INCOMPLETEARRAY:
        return declare(ctype.element_type, f"{name}[]")
    if ctype.kind == TypeKind.POINTER:
        function = ctype.get_pointee().get_canonical()
        if function.kind == TypeKind.FUNCTIONPROTO and ctype.get_pointee().kind != TypeKind.TYPEDEF:
            arguments = ", ".join(a.spelling for a in function.argument_types()) or "void"
            return f"{function.get_result().spelling} (*{name})({arguments})"
        if ctype.spelling.endswith("*"):
            return f"{ctype.spelling}{name}"
    return f"{ctype.spelling} {name}".strip()


def unnamed(cursor):
    return not cursor.spelling or "(" in cursor.spelling


def names_its_body(typedef):
    """Whether it is a typedef of a body, as in typedef struct { ... } name."""
    declaration = typedef.underlying_typedef_type.get_declaration()
    return declaration.kind in AGGREGATES and (unnamed(declaration) or declaration.spelling == typedef.spelling)


class Writer:
    """Collects the declarations that are needed, each after those that it needs itself."""

    def __init__(self, unit):
        self.lines = {h: [] for h in HEADERS}
        self.macros_out = {h: [] for h in HEADERS}
        self.done = set()
        self.named, self.constants, self.macros, self.typedefs = {}, {}, {}, {}
        for c in unit.cursor.get_children():
            if c.kind == Kind.MACRO_DEFINITION:
                if header_of(c):
                    self.macros[c.spelling] = (header_of(c), [t.spelling for t in c.get_tokens()][1:])
            elif header_of(c) and c.kind in (Kind.FUNCTION_DECL, Kind.TYPEDEF_DECL, *AGGREGATES):
                if c.spelling:
                    self.named.setdefault(c.spelling, c)
                if c.kind == Kind.ENUM_DECL:
                    for constant in c.get_children():
                        self.constants[constant.spelling] = c
                if c.kind == Kind.TYPEDEF_DECL and names_its_body(c):
                    self.typedefs[c.underlying_typedef_type.get_declaration().get_usr()] = c

    def resolve(self, name):
        """The function or type behind a macro such as cuMemAlloc, or None."""
        tokens = self.macros[name][1]
        if len(tokens) == 4 and tokens[0].startswith("__CUDA_API_PT"):
            tokens = tokens[2:3]
        return tokens[0] if len(tokens) == 1 and tokens[0] in self.named else None

    def use(self, name):
        """Writes what an identifier of the source needs, and returns the name of the
        function or type that it stands for."""
        target = name
        if name in self.macros:
            header, tokens = self.macros[name]
            target = self.resolve(name)
            if target and target != name:
                self.macros_out[header].append(f"#define {name} {target}")
            elif not target:
                if tokens and re.match(r"[A-Z]", name):
                    self.macros_out[header].append(f"#define {name} {' '.join(tokens)}")
                return None
        cursor = self.named.get(target) or self.constants.get(target)
        if cursor is None:
            return None
        self.write(cursor)
        return target

    def write_type(self, ctype):
        ctype = core(ctype)
        if ctype.kind == TypeKind.FUNCTIONPROTO:
            self.write_type(ctype.get_result())
            for a in ctype.argument_types():
                self.write_type(a)
            return
        declaration = ctype.get_declaration()
        if declaration.kind != Kind.NO_DECL_FOUND:
            self.write(declaration)

    def write(self, cursor):
        if cursor.spelling in STANDARD:
            return
        cursor = cursor.get_definition() or cursor
        cursor = self.typedefs.get(cursor.get_usr(), cursor)
        if not self.first(cursor):
            return
        header = header_of(cursor)
        if header is None:
            sys.exit(f"gen.py: {cursor.spelling} of {cursor.location.file} has no header here")
        if cursor.kind == Kind.TYPEDEF_DECL:
            text = self.typedef(cursor)
        elif cursor.kind == Kind.FUNCTION_DECL:
            self.write_type(cursor.result_type)
            for a in cursor.get_arguments():
                self.write_type(a.type)
            text = f"{declare(cursor.result_type)} {cursor.spelling}({parameters(cursor)})"
        elif cursor.is_definition() and list(cursor.get_children()):
            text = self.aggregate(cursor)
        else:
            text = f"{AGGREGATES[cursor.kind]} {cursor.spelling}"
        self.lines[header].append(text + ";")

    def first(self, cursor):
        """Whether the declaration has not been written yet."""
        key = cursor.get_usr() or str(cursor.hash)
        new = key not in self.done
        self.done.add(key)
        return new

    def typedef(self, cursor):
        under = cursor.underlying_typedef_type
        if names_its_body(cursor):
            return f"typedef {self.aggregate(under.get_declaration())} {cursor.spelling}"
        self.write_type(under)
        return "typedef " + declare(under, cursor.spelling)

    def aggregate(self, cursor):
        name = "" if unnamed(cursor) else cursor.spelling + " "
        return f"{AGGREGATES[cursor.kind]} {name}{self.body(cursor)}"

    def body(self, cursor):
        if cursor.kind == Kind.ENUM_DECL:
            values = (f"{e.spelling} = {e.enum_value}" for e in cursor.get_children() if e.kind == Kind.ENUM_CONSTANT_DECL)
            return "{ " + ", ".join(values) + " }"
        fields = []
        for field in cursor.get_children():
            if field.kind != Kind.FIELD_DECL:
                continue
            inner = core(field.type).get_declaration()
            if inner.kind in AGGREGATES and unnamed(inner):
                self.first(inner.get_definition() or inner)
                fields.append(f"{self.aggregate(inner)} {field.spelling};")
            else:
                self.write_type(field.type)
                fields.append(declare(field.type, field.spelling) + ";")
        return "{ " + " ".join(fields) + " }"


def argument_names(function):
    return [a.spelling or f"a{i}" for i, a in enumerate(function.get_arguments())]


def parameters(function):
    return ", ".join(declare(a.type, n) for a, n in zip(function.get_arguments(), argument_names(function))) or "void"


def library_of(name):
    for prefix, library in (("cudnn", "LIB_CUDNN"), ("cublas", "LIB_CUBLAS"), ("cu", "LIB_CUDA")):
        if name.startswith(prefix):
            return library
    sys.exit(f"gen.py: no library has {name}")


def trampoline(function):
    name, result = function.spelling, declare(function.result_type)
    macro = "STATUS" if result in ("CUresult", "cublasStatus_t", "cudnnStatus_t") else "VALUE"
    return f"{macro}({library_of(name)}, {result}, {name}, ({parameters(function)}), ({', '.join(argument_names(function))}))"


def fold(line):
    """Breaks a long line of C between words, but not inside NAME = VALUE."""
    kept = line.replace(" = ", "\0=\0")
    lines = textwrap.wrap(kept, 118, subsequent_indent="\t", break_long_words=False, break_on_hyphens=False)
    return "\n".join(lines).replace("\0", " ")


def generated(*what):
    return f"// Code generated by {COMMAND}; DO NOT EDIT.\n" + "".join(f"// {line}\n" for line in what)


def status_codes(unit, enum, prefix):
    """(value, name) of the constants of a status type, each value once, by its first name
    that is not deprecated."""
    for c in unit.cursor.get_children():
        if c.kind == Kind.ENUM_DECL and c.is_definition() and enum in (c.spelling, c.type.spelling):
            seen = {}
            for e in c.get_children():
                if e.kind == Kind.ENUM_CONSTANT_DECL and e.spelling.startswith(prefix):
                    seen.setdefault(e.enum_value, e.spelling)
            return sorted(seen.items())
    sys.exit(f"gen.py: the headers have no {enum}")


def go_table(name, comment, codes):
    cases = "\n".join(f'\tcase {value}:\n\t\treturn "{text}"' for value, text in codes)
    return f'\n// {name} {comment}\nfunc {name}(code int) string {{\n\tswitch code {{\n{cases}\n\t}}\n\treturn ""\n}}\n'


def status_file(old, headers):
    cuda13 = parse("#include <cuda.h>\n", [headers / NEW_CUDA])
    cudnn9 = parse("#include <cudnn.h>\n", [headers / s for s in (NEW_CUDNN, *SOURCES)])
    return (generated() + "\npackage cuda\n"
            + go_table("cudaStatusName", 'returns the name of a CUresult by the numbering of CUDA 13, or "".',
                       status_codes(cuda13, "cudaError_enum", "CUDA_"))
            + go_table("cublasStatusName", 'returns the name of a cublasStatus_t, or "".',
                       status_codes(old, "cublasStatus_t", "CUBLAS_"))
            + go_table("cudnn8StatusName", 'returns the name of a cudnnStatus_t by the numbering of cuDNN 8, or "".',
                       status_codes(old, "cudnnStatus_t", "CUDNN_"))
            + go_table("cudnn9StatusName", 'returns the name of a cudnnStatus_t by the numbering of cuDNN 9, or "".',
                       status_codes(cudnn9, "cudnnStatus_t", "CUDNN_")))


def listed_functions(file):
    """functions.txt: lines of library and function; those of NCCL are declared by hand, in nccl.h."""
    lines = (line.split("#")[0].split() for line in file.read_text().splitlines())
    return [words[1] for words in lines if words and words[0] != "nccl"]


def main():
    gorgonia, package, headers, out = (Path(a) for a in sys.argv[1:5])
    unit = parse("".join(f"#include <{h}>\n" for h in HEADERS), [headers / s for s in SOURCES])
    writer = Writer(unit)
    names = identifiers([gorgonia, gorgonia / "blas", gorgonia / "dnn", package])
    functions = set()
    for name in sorted(names | set(listed_functions(package / "functions.txt"))):
        target = writer.use(name)
        if target and writer.named.get(target) is not None and writer.named[target].kind == Kind.FUNCTION_DECL:
            functions.add(target)

    (out / "include").mkdir(parents=True, exist_ok=True)
    for h in HEADERS:
        top = generated("The part of NVIDIA's interface that this program uses.") + "#pragma once\n"
        top += "".join(f"#include {i}\n" for i in INCLUDES[h]) + "\n"
        lines = writer.macros_out[h] + [fold(line) for line in writer.lines[h]]
        (out / "include" / h).write_text(top + "\n".join(lines) + "\n")
    lines = [fold(trampoline(writer.named[f])) for f in sorted(functions - BY_HAND)]
    top = generated("The functions of NVIDIA's libraries, by the macros of shim.c.") + "\n"
    (out / "trampolines.h").write_text(top + "\n".join(lines) + "\n")
    (out / "status_names.go").write_text(status_file(unit, headers))
    missing = set(listed_functions(package / "functions.txt")) - functions - BY_NAME
    if missing:
        sys.exit(f"gen.py: functions.txt: the headers have no {', '.join(sorted(missing))}")
    print(f"{len(functions)} functions")


if __name__ == "__main__":
    main()
