"""**buffers**: what was held in the step of the peak, one by one."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from tftrace.attribution.kernel_owner import OUTSIDE
from tftrace.attribution.memory import Held
from tftrace.attribution.readers import Readers
from tftrace.tables.frame import PS_PER_MS, table_of
from tftrace.tables.memory import holders
from tftrace.timeline.memory import AFTER, BEFORE

_DTYPES = {
    1: "float32",
    2: "float64",
    3: "int32",
    4: "uint8",
    5: "int16",
    6: "int8",
    7: "string",
    8: "complex64",
    9: "int64",
    10: "bool",
    11: "qint8",
    12: "quint8",
    13: "qint32",
    14: "bfloat16",
    17: "uint16",
    18: "complex128",
    19: "float16",
    20: "resource",
    21: "variant",
    22: "uint32",
    23: "uint64",
}
"""TensorFlow's DataType (tensorflow/core/framework/types.proto)."""

_TEXTS = (
    *("path", "op", "op_type", "phase", "region", "dtype", "last_reader", "last_phase"),
    "next_reader",
)


def buffers_table(found: Held | None) -> pd.DataFrame:
    """**buffers**: one row per buffer that was held at any moment of the step of the peak.

    ``path`` is a row of **memory**; ``op``, ``op_type`` and ``phase`` are of the kernel that asked
    for it; ``region`` is ``output``, ``temp`` or ``persist`` and ``dtype`` its element type, as the
    trace says; ``xla`` are the parts of a buffer that XLA asked for as one. ``start_ms`` and
    ``end_ms`` count from the begin of the step and are null where it was there before the trace,
    or outlived it. ``last_reader`` is the layer whose kernel the executor gave it back behind,
    ``last_phase`` that kernel's phase. ``waits_ms`` is how long no kernel used it around the peak,
    ``next_reader`` the layer that was the first to use it again; null where one used it then, and
    where it is not known. ``at_peak`` says whether it was held at the peak: the ``held_bytes`` of
    those sum to it, ``asked_bytes`` are what the kernel asked for. What lasted all through the
    trace is in a row of the weights, and one of what is unnamed. Texts are null where unknown.
    Empty where the trace does not show it.
    """
    rows = [] if found is None else [*_lasting(found), *_rows(found)]
    return table_of(
        rows,
        ("asked_bytes", "held_bytes"),
        ("start_ms", "end_ms", "waits_ms"),
        (*_TEXTS, "at_peak"),
    )


def _lasting(found: Held) -> list[dict[str, Any]]:
    base, own = found.base or 0, found.weights or 0
    parts = {"weights": min(own, base), "unnamed": base - min(own, base)}
    unknown = dict.fromkeys((*_TEXTS, "asked_bytes", "start_ms", "end_ms", "waits_ms"))
    return [
        unknown | {"path": path, "held_bytes": size, "at_peak": True}
        for path, size in parts.items()
        if size
    ]


def _rows(found: Held) -> list[dict[str, Any]]:
    b, paths = found.buffers, holders(found)
    begin, end = found.step
    peak, readers = set(found.at(found.peak_ps).tolist()), Readers(found)

    def since(time: int) -> float | None:
        return None if time in (BEFORE, AFTER) else (time - begin) / PS_PER_MS

    rows = []
    for i in np.flatnonzero((b.start < end) & (b.end > begin)).tolist():
        name, kind, _, phase = _kernel(found, int(found.execution[i]))
        *_, reader, last_phase = _kernel(found, int(found.last[i]))
        wait = readers.wait(i) if i in peak and found.holder[i] >= 0 else None
        rows.append(
            {
                "path": paths[int(found.holder[i])],
                "op": name or b.op[i] or None,
                "op_type": kind,
                "phase": phase,
                "region": b.region[i] or None,
                "dtype": _DTYPES.get(int(b.dtype[i])),
                "asked_bytes": int(b.asked[i]),
                "held_bytes": int(b.bytes[i]),
                "start_ms": since(int(b.start[i])),
                "end_ms": since(int(b.end[i])),
                "at_peak": i in peak,
                "last_reader": reader,
                "last_phase": last_phase,
                "next_reader": paths.get(wait.site)
                if wait is not None and wait.site >= 0
                else None,
                "waits_ms": None if wait is None else (wait.end - wait.start) / PS_PER_MS,
            }
        )
    return rows


def _kernel(found: Held, execution: int) -> tuple[str | None, str | None, str | None, str | None]:
    """Name, type, path of the layer and phase of an execution; None where there is none."""
    join = found.join
    number = -1 if execution < 0 else int(join.row_of[execution])
    if number < 0:
        return None, None, None, None
    row = join.rows[number]
    if row.info is None:
        return row.name, row.type, None, None
    path = None if row.info.layer == OUTSIDE else join.run.sites[row.info.layer].path
    return row.name, row.type, path, row.info.phase
