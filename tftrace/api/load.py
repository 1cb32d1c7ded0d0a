"""Open a run, or a trace that another program took."""

from __future__ import annotations

import os
from pathlib import Path

from tftrace.api.profile import Profile
from tftrace.attribution.by_name.foreign import ForeignJoin, foreign_join
from tftrace.errors import TftraceError
from tftrace.runs.find import is_other_kind
from tftrace.runs.names import MANIFEST, TRACE
from tftrace.runs.run import manifest_beside, manifests_in, open_run


def load(
    path: str | Path,
    model: str | Path | None = None,
    *,
    salvage: bool = False,
    threads: int | None = None,
) -> Profile:
    """Open a run, or a trace that another program took.

    Args:
        path: a run folder, or a folder of runs, of which the newest is taken; without any run of
            tftrace, a ``.xplane.pb`` file or a log folder, as `load_foreign` takes them.
        model: a saved model to match a trace from elsewhere to. A run of tftrace is then read
            like one.
        salvage: of a truncated trace, read what is whole; ``warnings`` says what is lost.
        threads: read the trace on so many threads; None for one per available core.

    Raises:
        TftraceError: there is neither at ``path``, or it is damaged: a run whose manifest is gone
            too.
    """
    found = open_any(Path(path), model, salvage=salvage, threads=threads)
    join = found._join
    if model is None and isinstance(join, ForeignJoin) and join.marked:
        raise TftraceError(
            f"{join.run.trace_path} is the trace of a run of tftrace whose manifest ({MANIFEST}) "
            "is missing beside it; load_foreign reads it like a trace from elsewhere"
        )
    return found


def open_any(
    path: Path,
    model: str | Path | None = None,
    *,
    salvage: bool = False,
    threads: int | None = None,
) -> Profile:
    """As `load`, but a run whose manifest is gone is read like a trace from elsewhere.

    Raises:
        TftraceError: there is no trace at ``path``, or it is damaged.
    """
    own = manifest_beside(path)
    is_trace = path.name.endswith(TRACE) or (os.path.isdir(path) and not manifests_in(path))
    if model is not None or is_other_kind(path) or (is_trace and own is None):
        return load_foreign(path, model, salvage=salvage, threads=threads)
    return Profile(open_run(own or path, salvage=salvage, threads=threads))


def load_run(path: str | Path) -> Profile:
    """`load` where a trace alone is not enough.

    Raises:
        TftraceError: as `load`, and for a trace that another program took.
    """
    found = load(path)
    if found.foreign:
        raise TftraceError(
            f"{path} holds no run of tftrace (no .tftrace.json), and a trace that another program "
            "took has neither samples nor latency; tftrace report reads it"
        )
    return found


def load_foreign(
    path: str | Path,
    model: str | Path | None = None,
    *,
    salvage: bool = False,
    threads: int | None = None,
) -> Profile:
    """Open a trace that another program took: a ``.xplane.pb`` file or a log folder.

    Args:
        path: of a folder the newest trace is taken.
        model: the saved model (``.keras``, ``.h5``) that ran; its layers are then matched by
            the names of operations, and ``note`` says how certain that is. Without it no row has
            a layer.
        salvage, threads: as `load` takes them.

    What only a run of tftrace records is null: samples, latency, counts, expected executions.

    Raises:
        TftraceError: there is no trace at ``path``, or ``model`` cannot be read.
    """
    saved = None if model is None else Path(model)
    join = foreign_join(Path(path), saved, salvage=salvage, threads=threads)
    return Profile(join.run, join=join)
