"""What having the compiled loops costs a process: tftrace's object files, and numba's own cache.

    python benchmarks/load_loops.py [--repeats 7]

Every way runs in a process of its own, which imports NumPy and the loops' modules first; printed is
what comes on top, the median of the processes, interleaved. The first process of each compiles.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time

WAYS = ("object files", "numba's cache")
MODULES = ("events", "executions", "intervals", "spans", "sweep", "thread_pool")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--repeats", type=int, default=7)
    repeats = parser.parse_args().repeats
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, "TFTRACE_CACHE_DIR": f"{folder}/a", "NUMBA_CACHE_DIR": folder}
        measured: dict[str, list[tuple[float, float]]] = {way: [] for way in WAYS}
        for _ in range(repeats + 1):
            for way in WAYS:
                child = [sys.executable, __file__, "--child", way]
                answer = subprocess.run(child, env=environment, capture_output=True, check=True)
                seconds, megabytes = map(float, answer.stdout.split())
                measured[way].append((seconds, megabytes))
    for way, results in measured.items():
        seconds, megabytes = map(statistics.median, zip(*results[1:], strict=True))
        print(
            f"{way:14} compiling {results[0][0]:5.1f} s; loading {1e3 * seconds:5.0f} ms, "
            f"{megabytes:4.0f} MB"
        )


def child(way: str) -> None:
    import importlib

    import numpy  # noqa: F401

    modules = [importlib.import_module(f"tftrace.native.loops.{name}") for name in MODULES]
    before, began = _resident(), time.perf_counter()
    if way == "object files":
        from tftrace.native import jit

        for module in modules:
            jit._addresses(module.__name__)
    else:
        import numba

        from tftrace.native import compile, jit

        for module in modules:
            for member in list(vars(module).values()):
                if isinstance(member, jit.loop):
                    function = compile._with_helpers(member.function)
                    numba.cfunc(compile._signature(member.function), cache=True)(function)
    print(time.perf_counter() - began, _resident() - before)


def _resident() -> float:
    """The most memory the process had so far, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        child(sys.argv[2])
    else:
        main()
