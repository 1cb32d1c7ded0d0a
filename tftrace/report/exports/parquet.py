"""Tables as Parquet, with the units of their columns in the schema."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd

from tftrace.errors import TftraceError
from tftrace.units import schema_with_units, units_of

_NO_PYARROW = "Parquet needs pyarrow: pip install 'tftrace[parquet]'"


def write_parquet(table: pd.DataFrame, path: Path) -> None:
    """Write a table.

    Raises:
        TftraceError: pyarrow is missing.
    """
    write_in_parts(iter([table]), path)


def write_in_parts(parts: Iterator[pd.DataFrame], path: Path) -> None:
    """Write each part (there is one at least) as a row group.

    Raises:
        TftraceError: pyarrow is missing.
    """
    try:
        import pyarrow as pa
        from pyarrow import parquet
    except ImportError:
        raise TftraceError(_NO_PYARROW) from None
    first = next(parts)
    schema = _schema(pa, first)
    with parquet.ParquetWriter(path, schema) as writer:
        for part in itertools.chain([first], parts):
            writer.write_table(pa.Table.from_pandas(part, schema=schema, preserve_index=False))


def _schema(pa: Any, first: pd.DataFrame) -> Any:
    known = pa.Schema.from_pandas(first, preserve_index=False)
    # A column without a value in the first part has no type yet; all such are names.
    fields = [f.with_type(pa.string()) if f.type == pa.null() else f for f in known]
    schema = pa.schema(fields, metadata=known.metadata)
    return schema_with_units(schema, units_of(known.names))
