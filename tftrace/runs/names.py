"""Names that whoever writes a run and whoever reads it must agree on."""

from __future__ import annotations

from tftrace.parsers import StatNames

SCHEMA = 1
"""Version of the manifest's layout; a reader refuses a later one."""

MANIFEST = ".tftrace.json"
TRACE = ".xplane.pb"
"""Suffixes behind the host's name of the two files of a run."""

WINDOW = "tftrace window"
STEP = "tftrace step"
"""Names of the trace's events around the measured pass, and around each of its steps."""

LABELED = ("evaluate", "fit")
"""What a run is called that had labels."""

_ON_BATCH = {"train_on_batch": "fit", "test_on_batch": "evaluate"}


def way_of(call: str) -> str:
    """``fit`` or ``evaluate``, which a call with labels is a kind of; ``predict`` for all else."""
    return call if call in LABELED else _ON_BATCH.get(call, "predict")


NAME_SCOPE = "name scope"
"""Type of a call site inside a SavedModel, which has no Keras layers: a scope of its operations."""

HOST = "/host:CPU"
"""Plane of the trace that holds the host's threads."""

STATS = StatNames(
    ints=("id", "step_num", "_p", "_c", "program_id", "correlation_id", "group_id", "parallelism"),
    strings=(
        *("hlo_op", "hlo_module", "name", "kernel_type", "tf_function_call"),
        *("tf_op", "annotation", "level 0"),
    ),
)
"""What is read of the events of a run's trace, beside name and time."""

MEMORY_STATS = StatNames(
    ints=(
        *(*STATS.ints, "requested_bytes", "allocation_bytes", "bytes_allocated", "addr"),
        *("data_type", "peak_bytes_in_use", "bytes_available"),
    ),
    strings=(*STATS.strings, "allocator_name", "region_type"),
)
"""What is read of a trace besides, where the question is who holds the memory."""

MEMORY = ".memory.pb"
"""Suffix of the trace of a second pass, in which the allocator noted what it handed out."""
