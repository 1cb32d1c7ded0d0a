"""Lines of an indexed trace: their own fields, and tables from metadata ids to what is wanted."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from tftrace.native.loops import events as event_loops
from tftrace.parsers.errors import MalformedTrace, TruncatedTrace
from tftrace.parsers.proto import wire
from tftrace.parsers.trace_file import EVENT_COST, LineRange, TraceFile

CHUNK = 1 << 20
"""Bytes of a line after which the reader gives back the memory behind it."""

_DIRECT_IDS = 1 << 20
_ID, _NAME, _TIMESTAMP, _DISPLAY_NAME = 0x08, 0x12, 0x18, 0x5A

Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(frozen=True)
class LineHead:
    """A line's own fields, and its extent.

    Attributes:
        events: how many whole events it has.
        end: where the last whole field ends; the line's end unless it is cut.
    """

    plane: int
    id: int
    name: str
    display_name: str
    timestamp_ns: int
    events: int
    start: int
    end: int


def scan_lines(file: TraceFile, threads: int | None, salvage: bool) -> list[LineHead]:
    """The heads of all lines of a trace.

    Raises:
        TruncatedTrace: the data ends early and `salvage` is false.
        MalformedTrace: a line is not one.
    """
    heads = in_threads(lambda line: scan_line(file, line), file.lines, threads)
    file.charge(EVENT_COST * sum(head.events for head in heads))
    if file.truncated_at is not None and not salvage:
        raise TruncatedTrace(file.truncated_at, sum(head.events for head in heads))
    return heads


def scan_line(file: TraceFile, line: LineRange) -> LineHead:
    """Count a line's events and decode its other fields."""
    size = len(file.data)
    end = min(line.end, size)
    fields_at = np.empty(64, np.int64)
    counts = np.empty(2, np.int64)
    events, pos = 0, line.start
    number, name, display_name, timestamp_ns = 0, "", "", 0
    while pos < end:
        pos = event_loops.scan_line(
            file.data, size, pos, min(pos + CHUNK, end), end, fields_at, len(fields_at), counts
        )
        events += int(counts[0])
        for at in fields_at[: counts[1]].tolist():
            tag, first, last = next(wire.fields(file.view, at, end))
            if tag == _ID:
                number = wire.signed(first)
            elif tag == _NAME:
                name = wire.text(file.view, first, last)
            elif tag == _TIMESTAMP:
                timestamp_ns = wire.signed(first)
            elif tag == _DISPLAY_NAME:
                display_name = wire.text(file.view, first, last)
        if pos < 0 and line.end <= size:
            raise MalformedTrace(-1 - pos, "a field that does not fit into its line")
        if pos < 0:  # the line is cut: keep what is whole
            pos = end = -1 - pos
    return LineHead(line.plane, number, name, display_name, timestamp_ns, events, line.start, end)


@dataclass(frozen=True)
class IdTable:
    """Metadata ids -> small numbers, in the form the loops look them up.

    Attributes:
        table: int32, by id, for ids from 0 to its length; -1 where there is none.
        keys, values: the other ids, sorted, and their numbers (int64, int32).
    """

    table: npt.NDArray[np.int32]
    keys: npt.NDArray[np.int64]
    values: npt.NDArray[np.int32]

    @property
    def arguments(self) -> tuple[object, ...]:
        """As the loops take it."""
        return self.table, len(self.table), self.keys, self.values, len(self.keys)

    @classmethod
    def of(cls, numbers: dict[int, int]) -> IdTable:
        """From a dictionary of ids (any int64) to numbers from 0."""
        limit = min(_DIRECT_IDS, 4 * len(numbers) + 64)
        direct = {key: number for key, number in numbers.items() if 0 <= key < limit}
        others = sorted(numbers.keys() - direct.keys())
        table = np.full(max(direct, default=-1) + 1, -1, np.int32)
        for key, number in direct.items():
            table[key] = number
        return cls(
            table,
            np.array(others, np.int64),
            np.array([numbers[key] for key in others], np.int32),
        )


def in_threads(
    work: Callable[[Item], Result], items: Iterable[Item], threads: int | None
) -> list[Result]:
    """`[work(item) for item in items]`, on `threads` threads (None: one per available core).

    The loops run without the interpreter lock, so lines are decoded side by side. Of several
    failures the first item's is raised.
    """
    todo = list(items)
    count = min(threads or len(os.sched_getaffinity(0)), len(todo))
    if count <= 1:
        return [work(item) for item in todo]
    results: list[Any] = [None] * len(todo)
    failures: dict[int, Exception] = {}
    numbers = iter(range(len(todo)))
    lock = threading.Lock()

    def run() -> None:
        while not failures:
            with lock:
                number = next(numbers, None)
            if number is None:
                return
            try:
                results[number] = work(todo[number])
            except Exception as error:
                failures[number] = error

    with ThreadPoolExecutor(count) as pool:
        for done in [pool.submit(run) for _ in range(count)]:
            done.result()
    if failures:
        raise failures[min(failures)]
    return results
