"""The scan itself: one task per trace file, on Dask."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Any

from tftrace.errors import TftraceError
from tftrace.scan.find import Capture, find_captures
from tftrace.scan.read import Reading, read_capture
from tftrace.scan.result import ScanResult, assemble
from tftrace.text import Stage

_NEEDED = ("distributed", "fsspec")
_NEEDED_LOCALLY = ("cryptography",)  # certificates between local processes
_TIMEOUT = 30  # seconds for a scheduler, and then for its workers, to answer

Path = str | os.PathLike[str]


def scan(
    paths: Path | Sequence[Path],
    scheduler: str | None = None,
    out: Path | None = None,
    workers: int | None = None,
    progress: Callable[[str], None] = lambda _: None,
) -> ScanResult:
    """Read every run and host at or below the paths, and compare them.

    Layers come from runs that tftrace captured, totals of ops from every trace. A file that cannot
    be read is a row of `errors`; the rest goes on. Local processes are started as `multiprocessing`
    does: a script that calls this needs `if __name__ == "__main__":`.

    Args:
        paths: log folders, run folders or traces; local, or what fsspec knows (`gs://`, `s3://`,
            `https://` with a listing).
        scheduler: address of a Dask scheduler, as `tcp://host:8786`; its workers need tftrace, and
            the paths must mean the same to them. None: local processes for the time of the scan.
        out: an empty or new folder (local or remote) for a Parquet data set of all tables,
            partitioned by `run` and `host`.
        workers: how many local processes; None for one per core, and not more than files. With a
            scheduler: wait for so many workers.
        progress: called with a word on each stage.

    Raises:
        TftraceError: Dask is missing or does not answer, there is no trace at a path, or `out`
            cannot be written.
    """
    _require(_NEEDED if scheduler is not None else _NEEDED + _NEEDED_LOCALLY)
    searched = [paths] if isinstance(paths, str | os.PathLike) else list(paths)
    if out is not None:
        from tftrace.scan.dataset import require_empty

        require_empty(out)
    progress("looking for traces")
    captures = find_captures(searched)
    with _client(scheduler, workers, len(captures), progress) as client:
        result = assemble(*_read_all(client, captures, progress))
    if out is not None:
        from tftrace.scan.dataset import write_dataset

        progress("writing")
        write_dataset(result, out)
    return result


def _require(packages: Sequence[str]) -> None:
    missing = [name for name in packages if find_spec(name) is None]
    if missing:
        raise TftraceError(
            f"scan needs {' and '.join(missing)}: pip install 'tftrace[distributed]'"
        )


def _read_all(
    client: Any, captures: list[Capture], progress: Callable[[str], None]
) -> tuple[list[Reading], list[tuple[Capture, Exception]]]:
    """What was read, and what was not and why; both in the order of the captures."""
    from distributed import as_completed

    largest_first = sorted(captures, key=lambda c: c.bytes or 0, reverse=True)
    tasks = client.map(read_capture, largest_first, pure=False)
    for done, _ in enumerate(as_completed(tasks), 1):
        progress(Stage(f"{done} of {len(tasks)} traces read", within=done > 1))
    future_of = dict(zip(largest_first, tasks, strict=True))
    errors = {capture: future.exception() for capture, future in future_of.items()}
    readings = client.gather([future_of[c] for c in captures if errors[c] is None])
    return readings, [(c, errors[c]) for c in captures if errors[c] is not None]


@contextmanager
def _client(
    scheduler: str | None, workers: int | None, files: int, progress: Callable[[str], None]
) -> Iterator[Any]:
    """A client with at least one worker."""
    if scheduler is None:
        progress("starting workers")
        with _local_client(workers, files) as client:
            yield client
        return
    progress(f"connecting to {scheduler}")
    with _remote_client(scheduler, workers or 1) as client:
        yield client


@contextmanager
def _local_client(workers: int | None, files: int) -> Iterator[Any]:
    import dask
    from dask.system import CPU_COUNT
    from distributed import Client, LocalCluster, Security

    # Pages about the cluster would answer everybody on this machine, without a login.
    silent: dict[str, list[str]] = {
        f"distributed.{who}.http.routes": [] for who in ("scheduler", "worker", "nanny")
    }
    with (
        dask.config.set(silent),
        LocalCluster(
            n_workers=min(workers or CPU_COUNT, files),
            threads_per_worker=1,
            host="127.0.0.1",
            # Whoever reaches a scheduler can run code: on a machine with other users, loopback
            # alone does not keep them out.
            security=Security.temporary(),
            # Without an address the scheduler would try port 8787, and warn if that is taken.
            scheduler_kwargs={"dashboard": False, "dashboard_address": "127.0.0.1:0"},
            # A worker over its share of memory would be ended, and its file tried again in vain.
            memory_limit=0,
            # Workers would log what is in `errors` anyway.
            silence_logs=logging.CRITICAL,
        ) as cluster,
        Client(cluster) as client,
    ):
        yield client


@contextmanager
def _remote_client(scheduler: str, workers: int) -> Iterator[Any]:
    from distributed import Client

    try:
        client = Client(scheduler, timeout=_TIMEOUT)
    except (OSError, ValueError) as error:
        raise TftraceError(f"no Dask scheduler answers at {scheduler}: {error}") from error
    with client:
        try:
            client.wait_for_workers(workers, timeout=_TIMEOUT)
        except TimeoutError as error:
            raise TftraceError(
                f"the scheduler at {scheduler} has too few workers: {error}"
            ) from error
        yield client
