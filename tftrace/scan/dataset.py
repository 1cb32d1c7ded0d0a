"""A scan as one Parquet data set, partitioned by run and host.

    OUT/run=<run>/host=<host>/{ops,layers,hosts,errors}-0.parquet

All files have the columns of all tables, and one, `kind`, that says whose rows they are, so that
the folder reads as one data set and as any of its tables:

    pd.read_parquet(OUT, filters=[("kind", "==", "layers")])
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tftrace.errors import TftraceError
from tftrace.files import reason, require_folder, written_into
from tftrace.scan.result import TABLES, ScanResult
from tftrace.units import schema_with_units, units_of

_PARTITIONS = ("run", "host")


def require_empty(out: str | os.PathLike[str]) -> None:
    """Fail before hours of reading rather than behind them.

    Raises:
        TftraceError: `out` holds something, or pyarrow is missing.
    """
    _pyarrow()
    fs, path = _open(out)
    if fs.isfile(path) or (fs.exists(path) and fs.ls(path)):
        raise TftraceError(f"{out} is not an empty folder; choose another for the data set")
    if "file" in fs.protocol:
        require_folder(Path(path))


def write_dataset(result: ScanResult, out: str | os.PathLike[str]) -> None:
    """Write all tables of a scan below `out`, a local path or what fsspec knows.

    Raises:
        TftraceError: it cannot be written.
    """
    pa = _pyarrow()
    from pyarrow import dataset

    fs, path = _open(out)
    tables = {name: pa.Table.from_pandas(getattr(result, name)) for name in TABLES}
    tables = {
        name: table.append_column("kind", pa.array([name] * len(table), pa.string()))
        for name, table in tables.items()
        if len(table)
    }
    schema = pa.unify_schemas(
        [table.schema for table in tables.values()], promote_options="permissive"
    ).remove_metadata()
    # `bytes` is of a layer in one table and of a file in another: it has no unit here.
    units = units_of(name for name in schema.names if name != "bytes")
    schema = schema_with_units(schema, units)
    layout = dataset.partitioning(
        pa.schema([(name, pa.string()) for name in _PARTITIONS]), flavor="hive"
    )
    with _target(fs, path, out) as folder:
        for name, table in tables.items():
            dataset.write_dataset(
                _with_schema(pa, table, schema),
                folder,
                filesystem=fs,
                format="parquet",
                partitioning=layout,
                basename_template=f"{name}-{{i}}.parquet",
                # Each table adds its file to the same partitions.
                existing_data_behavior="overwrite_or_ignore",
                max_partitions=len(result.hosts) + len(result.errors),
            )


@contextmanager
def _target(fs: Any, path: str, out: str | os.PathLike[str]) -> Iterator[str]:
    """Where to write; of a local data set what is whole is moved to ``path``."""
    if "file" in fs.protocol:
        with written_into(Path(path)) as scratch:
            yield str(scratch)
        return
    try:
        yield path
    except OSError as error:
        raise TftraceError(f"cannot write to {out}: {reason(error)}") from error


def _with_schema(pa: Any, table: Any, schema: Any) -> Any:
    """The table with all columns of the schema, null where it has none of that name."""
    columns = [
        table[field.name].cast(field.type)
        if field.name in table.column_names
        else pa.nulls(len(table), field.type)
        for field in schema
    ]
    return pa.table(columns, schema=schema)


def _open(out: str | os.PathLike[str]) -> tuple[Any, str]:
    import fsspec

    try:
        fs, path = fsspec.core.url_to_fs(os.fspath(out))
    except (ImportError, ValueError) as error:
        raise TftraceError(f"cannot write to {out}: {error}") from error
    return fs, path


def _pyarrow() -> Any:
    try:
        import pyarrow
    except ImportError:
        raise TftraceError("Parquet needs pyarrow: pip install 'tftrace[parquet]'") from None
    return pyarrow
