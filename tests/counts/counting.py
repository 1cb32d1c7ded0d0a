"""What the counting tests share: trace a Keras model and count it."""

from tftrace.counts import Counts
from tftrace.tracer.graphs.programs import trace_model

BATCH = 2
"""More than one, so that a forgotten division shows."""


def count_model(model, *shapes, **options):
    """Counts of ``model``; full shapes, batch first, or none for its own at batch 1."""
    program, sites = trace_model(model, shapes or None)
    return Counts.from_program(program, sites, shapes[0][0] if shapes else 1, **options)
