"""How much faster two Dask workers scan than one, measured in turn, in one run.

    python benchmarks/scan.py [--files 8] [--size 100] [--rounds 7] [--trace FILE] [--folder DIR]

Scans eight files of 100 MB (a real trace, repeated as benchmarks/read_trace.py does). Two
schedulers run side by side, one with one worker and one with two; a worker is a process with one
thread, and reads each file with one thread. They scan by turns, so that both meet the same other
load; start-up and the first reading are left out. Everything listens on 127.0.0.1 only.

`ratio` is one worker's seconds through two workers'. `cores free` is what the machine left to the
round: with less than two, two workers cannot be twice as fast. `cpu ratio` is the same ratio in
CPU seconds on the longest path: client, scheduler and the busiest worker, one after the other. It
is what `ratio` would be on idle cores that do not slow each other down.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
import read_trace

sys.path.insert(0, str(Path(__file__).parents[1]))
from tftrace.scan import ScanResult, scan

WORKERS = (1, 2)
HERE = ("--host", "127.0.0.1", "--no-dashboard", "--dashboard-address", "127.0.0.1:0")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--files", type=int, default=8)
    parser.add_argument("--size", type=int, default=100, metavar="MB", help="of each file")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--trace", type=Path, help="a real trace to repeat; default: capture one")
    parser.add_argument("--folder", type=Path, help="where to make the files; default: temporary")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as folder, ExitStack() as started:
        logs = Path(folder) / "logs"
        make_files(logs, options.trace, options.files, options.size)
        both = [started.enter_context(cluster(Path(folder), n)) for n in WORKERS]
        measure(logs, both, options.files)
        rounds = [measure(logs, both, options.files) for _ in range(options.rounds)]
    report(rounds, options.files * options.size)


def make_files(logs: Path, trace: Path | None, files: int, size: int) -> None:
    """One run of so many hosts; each file has bytes of its own on disk."""
    run = logs / "plugins" / "profile" / "run"
    run.mkdir(parents=True)
    source = trace or logs.with_name("captured.pb")
    if trace is None:
        read_trace.run_self("capture", source)
    first = run / "host0.xplane.pb"
    read_trace.run_self("enlarge", source, first, size)
    for number in range(1, files):
        shutil.copyfile(first, run / f"host{number}.xplane.pb")


def measure(logs: Path, clusters: list[Cluster], files: int) -> dict[str, float]:
    """Seconds and CPU seconds of one scan with each cluster, and the cores left free."""
    result: dict[str, float] = {}
    others, began = busy_of_others(), time.perf_counter()
    for workers, cluster in zip(WORKERS, clusters, strict=True):
        me, them = cpu_of(psutil.Process()), [cpu_of(p) for p in cluster.processes]
        start = time.perf_counter()
        found = scan(logs, scheduler=cluster.address, workers=workers)
        result[f"{workers} wall"] = time.perf_counter() - start
        used = [cpu_of(p) - before for p, before in zip(cluster.processes, them, strict=True)]
        result[f"{workers} cpu"] = cpu_of(psutil.Process()) - me + used[0] + max(used[1:])
        check(found, files)
    taken = (busy_of_others() - others) / (time.perf_counter() - began)
    return {**result, "free": (psutil.cpu_count() or 1) - taken}


def cpu_of(process: psutil.Process) -> float:
    """CPU seconds that a process has used."""
    times = process.cpu_times()
    return float(times.user + times.system)


def busy_of_others() -> float:
    """CPU seconds so far of everything but this process and what it started."""
    times = psutil.cpu_times()
    me = psutil.Process()
    mine = sum(cpu_of(process) for process in (me, *me.children(recursive=True)))
    return float(sum(times) - times.idle - times.iowait - mine)


def check(found: ScanResult, files: int) -> None:
    if len(found.errors) or len(found.hosts) != files:
        raise SystemExit(f"not all files were read:\n{found.errors.to_string()}")


def report(rounds: list[dict[str, float]], megabytes: int) -> None:
    print(
        f"{'round':>6}{'1 worker s':>12}{'2 workers s':>13}{'ratio':>7}{'cpu ratio':>11}"
        f"{'cores free':>12}"
    )
    for number, row in enumerate(rounds, 1):
        print(
            f"{number:6}{row['1 wall']:12.2f}{row['2 wall']:13.2f}{ratio(row, 'wall'):7.2f}"
            f"{ratio(row, 'cpu'):11.2f}{row['free']:12.2f}"
        )
    wall, cpu = (statistics.median(ratio(row, unit) for row in rounds) for unit in ("wall", "cpu"))
    one, two = (statistics.median(row[f"{n} wall"] for row in rounds) for n in WORKERS)
    print(
        f"median ratio {wall:.2f} (cpu ratio {cpu:.2f}); {megabytes / one:.0f} MB/s with one "
        f"worker, {megabytes / two:.0f} MB/s with two"
    )


def ratio(row: dict[str, float], unit: str) -> float:
    return row[f"1 {unit}"] / row[f"2 {unit}"]


@dataclass(frozen=True)
class Cluster:
    """A scheduler's address, and the processes: it first, then its workers."""

    address: str
    processes: list[psutil.Process]


@contextmanager
def cluster(folder: Path, workers: int) -> Iterator[Cluster]:
    """A scheduler with so many workers of one thread; all end with the context."""
    told = folder / f"scheduler-{workers}.json"
    # Ended in reverse order, one after the other: a worker that says goodbye to a scheduler which
    # is just going may wait for it forever.
    with ExitStack() as started:
        processes = [
            started.enter_context(
                dask("scheduler", "--port", "0", "--scheduler-file", str(told), cwd=folder)
            )
        ]
        while not told.exists() or not told.read_text():
            if processes[0].poll() is not None:
                raise SystemExit("the scheduler did not start")
            time.sleep(0.05)
        address: str = json.loads(told.read_text())["address"]
        for _ in range(workers):
            worker = dask("worker", address, "--no-nanny", "--nthreads", "1", cwd=folder)
            processes.append(started.enter_context(worker))
        yield Cluster(address, [psutil.Process(process.pid) for process in processes])


@contextmanager
def dask(command: str, *arguments: str, cwd: Path) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(
        [sys.executable, "-m", "dask", command, *arguments, *HERE],
        env=read_trace._environment(),
        cwd=cwd,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield process
        process.terminate()
        process.wait(timeout=20)
    finally:
        process.kill()  # nothing, if it has ended
        process.wait()


if __name__ == "__main__":
    main()
