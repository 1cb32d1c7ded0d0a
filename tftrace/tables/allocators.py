"""**allocators**: what the memory of each device says of itself."""

from __future__ import annotations

import pandas as pd

from tftrace.attribution.join import Join
from tftrace.tables.frame import table_of
from tftrace.timeline.allocators import find_allocators

_BYTES = ("peak_bytes", "process_peak_bytes", "limit_bytes", "rounding_bytes")


def allocators_table(join: Join) -> pd.DataFrame:
    """**allocators**: one row per allocator in the trace, in bytes; null where it does not count.

    ``allocator`` is its name (``GPU_0_bfc``), ``allocations`` how often it handed something out.
    ``peak_bytes``: the most that it held inside the window; ``process_peak_bytes``: since the
    process began; ``limit_bytes``: the most that it may hold; ``rounding_bytes``: what it kept
    beyond what was asked for, at its peak.
    """
    window = join.window
    rows = [
        {
            "allocator": found.name,
            "allocations": found.allocations,
            "peak_bytes": found.peak,
            "process_peak_bytes": found.process_peak,
            "limit_bytes": found.limit,
            "rounding_bytes": found.rounding,
        }
        for found in find_allocators(join.run.trace, window.start, window.end)
    ]
    return table_of(rows, ("allocations", *_BYTES), (), ("allocator",))
