"""Tables to files: the same columns as the DataFrames have."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from tftrace.files import STANDARD_OUTPUT, replacing, written_into
from tftrace.report.exports.cells import harmless
from tftrace.report.exports.parquet import write_in_parts, write_parquet

if TYPE_CHECKING:
    from tftrace.api.profile import Profile
    from tftrace.counts import Counts
    from tftrace.counts.memory import Memory

Writer = Callable[[pd.DataFrame, Path], None]

_WRITERS: dict[str, Writer] = {"parquet": write_parquet}


def exporter(suffix: str) -> Callable[[Writer], Writer]:
    """Register a writer of one table for files that end in ``suffix``."""

    def register(writer: Writer) -> Writer:
        _WRITERS[suffix] = writer
        return writer

    return register


@exporter("csv")
def _csv(table: pd.DataFrame, path: Path) -> None:
    harmless(_lists_as_json(table)).to_csv(path, index=False)


@exporter("csv with raw cells")
def _raw_csv(table: pd.DataFrame, path: Path) -> None:
    _lists_as_json(table).to_csv(path, index=False)


def _lists_as_json(table: pd.DataFrame) -> pd.DataFrame:
    """A list in a cell would be written as Python; JSON is what other tools can read back."""
    plain = table.copy()
    for name in plain.columns:
        if plain[name].map(lambda v: isinstance(v, list)).any():
            plain[name] = plain[name].map(lambda v: json.dumps(v) if isinstance(v, list) else v)
    return plain


def export_tables(
    profile: Profile, format: str, output: Path, raw_cells: bool = False
) -> list[Path]:
    """Write every table, one file each (JSON: one file with all), and return the paths.

    Args:
        output: a folder (JSON: a file); to standard output goes **layers** alone.
        raw_cells: of CSV, keep texts that a spreadsheet would take for formulas as they are.

    Raises:
        TftraceError: ``output`` cannot be written, or a library is missing.
    """
    if format == "json":
        write_json(profile, output, events=True)
        return [] if output == STANDARD_OUTPUT else [output]
    writer = f"{format} with raw cells" if raw_cells else format
    _ = profile.layers  # what cannot be read is an error before anything is written
    if output == STANDARD_OUTPUT:
        with replacing(output) as part:
            _WRITERS[writer](profile.layers, part)
        return []
    with written_into(output) as scratch:
        for name in profile.table_names:
            path = scratch / f"{name}.{format}"
            if (name, format) == ("events", "parquet"):
                write_in_parts(profile.event_chunks(), path)
            else:
                _WRITERS[writer](profile.table(name), path)
    return [output / f"{name}.{format}" for name in profile.table_names]


def write_json(profile: Profile, path: Path, events: bool = False) -> None:
    """Write the JSON contract, with the events too when asked.

    Raises:
        TftraceError: ``path`` cannot be written.
    """
    from tftrace.tables.frame import records

    data = profile.to_dict()
    if events:
        data["events"] = records(profile.events)
    write_plain_json(data, path)


def export_counts(counts: Counts, folder: Path) -> None:
    """Write ``layers.csv`` and ``ops.csv`` of a count; to standard output the layers alone.

    Raises:
        TftraceError: ``folder`` cannot be written.
    """
    if folder == STANDARD_OUTPUT:
        with replacing(folder) as part:
            _csv(counts.layers, part)
        return
    with written_into(folder) as scratch:
        _csv(counts.layers, scratch / "layers.csv")
        _csv(counts.ops, scratch / "ops.csv")


def write_counts_json(counts: Counts, path: Path, more: Sequence[Memory] = ()) -> None:
    """Write `counts_data` as JSON.

    Raises:
        TftraceError: ``path`` cannot be written.
    """
    write_plain_json(counts_data(counts, more), path)


def counts_data(counts: Counts, more: Sequence[Memory] = ()) -> dict[str, Any]:
    """A count as JSON types, from rule and coverage to memory and training; unknown is null.

    Args:
        more: memory of further batch sizes.
    """
    from tftrace.tables.frame import records

    return {
        "schema": 1,
        "batch": counts.batch,
        "rule": counts.rule,
        "coverage": asdict(counts.coverage),
        "totals": counts.totals,
        "layers": records(counts.layers),
        "ops": records(counts.ops),
        "memory": [m.to_dict() for m in (counts.memory, *more) if m is not None],
        "training": None if counts.training is None else counts.training.to_dict(),
    }


def write_plain_json(data: dict[str, Any], path: Path) -> None:
    """Write plain data as JSON.

    Raises:
        TftraceError: ``path`` cannot be written.
    """
    write_text(path, json.dumps(data, allow_nan=False) + "\n")


def write_text(path: Path, text: str) -> None:
    """Write a text file, its folder too.

    Raises:
        TftraceError: ``path`` cannot be written.
    """
    with replacing(path) as part:
        part.write_text(text, encoding="utf-8")
