#!/usr/bin/env python3
"""Holds the includes of src/ to the layers that src/CMakeLists.txt lists: a folder includes itself and its deps; and
the making of threads to the one place that narrows them."""
import re
import sys
from pathlib import Path

SRC = Path(__file__).resolve().parent.parent / "src"


def layers():
    text = (SRC / "CMakeLists.txt").read_text()
    return {m[1]: set(m[2].split()) | {m[1]} for m in re.finditer(r"^armvisor_layer\((\w+)([^)]*)\)", text, re.MULTILINE)}


def violations(allowed):
    for path in sorted(SRC.rglob("*")):
        if path.suffix not in (".h", ".cpp", ".inc"):
            continue
        layer = path.relative_to(SRC).parts[0]
        if layer not in allowed:
            yield f"{path}: folder '{layer}' is no layer of src/CMakeLists.txt"
            continue
        for number, line in enumerate(path.read_text().splitlines(), 1):
            match = re.match(r'\s*#\s*include\s+"([^"/]+)/', line)
            if match and match[1] not in allowed[layer]:
                yield f"{path.relative_to(SRC.parent)}:{number}: layer '{layer}' must not include '{match[1]}'"


THREADS = re.compile(r"std::(thread|jthread)[ ({]+[^>&;]*[\[(]|std::async|std::jthread|pthread_create\(")
MAKERS = {"base/thread.h"}


def threads():
    """Threads are made by base/thread.h, which narrows them by their kind."""
    for path in sorted(SRC.rglob("*.[hc]*")):
        if str(path.relative_to(SRC)) in MAKERS:
            continue
        for number, line in enumerate(path.read_text().splitlines(), 1):
            if THREADS.search(line.split("//")[0]) and "start_" not in line:
                yield f"{path.relative_to(SRC.parent)}:{number}: a thread is made by base/thread.h, with its kind"


def main():
    found = list(violations(layers())) + list(threads())
    for line in found:
        print(line, file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
