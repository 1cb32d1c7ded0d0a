"""Gradients of tables of which a step reads a few rows, laid out to the size of the whole."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd

from tftrace.findings.basis.evidence import Evidence
from tftrace.findings.basis.figures import name_of, of_predict
from tftrace.findings.registry import Finding, finding_of_fit
from tftrace.graph.phases import OPTIMIZER
from tftrace.text import bytes_text, ms_text

_LAYS_OUT = "UnsortedSegmentSum"
"""What TensorFlow makes a dense tensor of the rows of a gradient by (tf.IndexedSlices)."""
_FAR_LARGER = 2


@finding_of_fit
def dense_gradients(profile: Evidence) -> Iterator[Finding]:
    """An optimizer that lays out the few rows of a gradient to the size of their table."""
    ops = profile.ops
    mine = ops[ops["phase"].eq(OPTIMIZER) & ops["calls"].gt(0)]
    lays_out = [any(_sizes(profile, key) for key in keys) for keys in mine["members"]]
    laid_out = mine[np.array(lays_out, bool)]
    for layer, group in laid_out.groupby("layer", dropna=False, sort=False):
        path = layer if isinstance(layer, str) else None
        yield _finding(profile, path, group, group if path is None else mine[mine["layer"] == path])


def _sizes(profile: Evidence, key: str) -> tuple[int, int] | None:
    """Bytes of the rows that the op ``key`` takes and of the table that it makes of them; None
    where it does not do that, or the table is hardly larger."""
    graph = profile.layer_graph
    op = graph.index.get(key)
    if op is None or graph.type[op] != _LAYS_OUT:
        return None
    rows, table = graph.out_bytes[graph.inputs[op][0]], graph.out_bytes[op]
    if rows is None or table is None or table < _FAR_LARGER * rows:
        return None
    return rows, table


def _finding(
    profile: Evidence, layer: str | None, laid_out: pd.DataFrame, updates: pd.DataFrame
) -> Finding:
    """Of the kernels that lay out, and of all that the optimizer does for the layer."""
    known = (_sizes(profile, key) for keys in laid_out["members"] for key in keys)
    rows, table = max((pair for pair in known if pair is not None), key=lambda pair: pair[1])
    spent = float(updates["wall_ms"].sum())
    told = (
        "for no one layer (clipping, say)"
        if layer is None
        else f"for {name_of(profile, layer)}, and goes over the whole table"
    )
    return Finding(
        layer=layer,
        kind="dense gradient of an embedding",
        text=(
            f"A step has gradients for {bytes_text(rows)} of rows of a table of "
            f"{bytes_text(table)}; the optimizer lays them out {told}: {ms_text(spent)} ms, "
            f"{of_predict(profile, spent, 'fit')}."
        ),
        cause=(
            "The gradient of an embedding has the rows that the batch read. An optimizer with "
            "moments, clipping by a global norm or gradient accumulation makes a tensor of the "
            "whole table of it, mostly zeros."
        ),
        remedy=(
            "SGD without momentum updates only the rows that were read (with clipnorm or "
            "clipvalue, too); a smaller vocabulary, or hashed indices, make the table smaller"
        ),
        evidence={"ms": spent, "rows_bytes": rows, "table_bytes": table},
    )
