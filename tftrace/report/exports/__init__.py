"""Tables to files: the same columns as the DataFrames have."""

# Each registers the formats that it writes.
from tftrace.report.exports import perfetto as _perfetto  # noqa: F401
from tftrace.report.exports import stacks as _stacks  # noqa: F401
