"""Algorithms on time intervals: shares of concurrent time, nesting, thread-pool chains.

All inputs are arrays of one length per group (else ValueError): times int64 in any one unit
(half-open `start:end`, `start <= end`), lines any integers below 2**31 (a line is a thread: what is
on different lines never nests). Results refer to intervals by index; -1 is none. Nothing here
knows what an interval stands for. Costs are n log n, or linear where the input is in order already
(by line, start, the enclosing first), as the profiler writes it.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from tftrace.native.loops import intervals as interval_loops

Int64Array = npt.NDArray[np.int64]
Int32Array = npt.NDArray[np.int32]
FloatArray = npt.NDArray[np.float64]


class Segments(NamedTuple):
    """Pieces of intervals: `owner` (index of the interval), `start`, `end`; all int64."""

    owner: Int64Array
    start: Int64Array
    end: Int64Array


class Regions(NamedTuple):
    """Closed regions: `opening` (index of the opening event), `line`, `start`, `end`."""

    opening: Int64Array
    line: Int32Array
    start: Int64Array
    end: Int64Array


def union_length(start: npt.ArrayLike, end: npt.ArrayLike) -> int:
    """The length of the time that is covered by at least one interval."""
    start, end = _int64(start), _int64(end)
    _check_lengths(start, end)
    if not len(start):
        return 0
    order = np.argsort(start, kind="stable")
    start, end = start[order], np.maximum.accumulate(end[order])
    covered_before = np.concatenate([start[:1], end[:-1]])
    return int(np.maximum(end - np.maximum(start, covered_before), 0).sum())


def concurrent_shares(start: npt.ArrayLike, end: npt.ArrayLike) -> FloatArray:
    """Each interval's share of time when every instant is shared equally by those active in it.

    The shares (float64, in the unit of the times) sum to `union_length`. Intervals that nest must
    be cut by `self_segments` first, or a parent takes from its children.
    """
    start, end = _int64(start), _int64(end)
    _check_lengths(start, end)
    count = len(start)
    times = np.concatenate([start, end])
    order = np.argsort(times, kind="stable")
    active = np.cumsum(np.where(order < count, 1, -1))
    steps = np.diff(times[order])
    each = np.zeros(len(times))  # at each bound: what one interval active all along would have
    if count:
        np.cumsum(steps / np.maximum(active[:-1], 1) * (active[:-1] > 0), out=each[1:])
    at_bound = np.empty(len(times))
    at_bound[order] = each
    return at_bound[count:] - at_bound[:count]


def self_segments(line: npt.ArrayLike, start: npt.ArrayLike, end: npt.ArrayLike) -> Segments:
    """The pieces of time in which each interval is the innermost of its line.

    An enclosing interval is cut where others run inside it, so that on each line at most one
    segment is active at any instant. Where intervals overlap without nesting, the one that started
    last has the time (of those that start together, the shortest; of equals, the last).
    Segments are ordered by line and start.
    """
    line, start, end = _int32(line), _int64(start), _int64(end)
    segments = Segments(*(np.empty(2 * len(line), np.int64) for _ in range(3)))
    count = interval_loops.segments(*_sorted(line, start, end), *segments)
    return Segments(*(column[:count].copy() for column in segments))


def self_time(line: npt.ArrayLike, start: npt.ArrayLike, end: npt.ArrayLike) -> Int64Array:
    """Per interval, the time in which it is the innermost of its line (see `self_segments`)."""
    segments = self_segments(line, start, end)
    total = np.zeros(len(_int64(start)), np.int64)
    np.add.at(total, segments.owner, segments.end - segments.start)
    return total


def nesting_parent(line: npt.ArrayLike, start: npt.ArrayLike, end: npt.ArrayLike) -> Int64Array:
    """Per interval, the innermost other one on its line that contains it whole, or -1.

    Innermost is the latest to start, then the shortest. Of equals, the first contains the second.
    """
    line, start, end = _int32(line), _int64(start), _int64(end)
    parent = np.empty(len(line), np.int64)
    interval_loops.parents(*_sorted(line, start, end), parent)
    return parent


def enclosing(
    point_line: npt.ArrayLike,
    point_time: npt.ArrayLike,
    line: npt.ArrayLike,
    start: npt.ArrayLike,
    end: npt.ArrayLike,
) -> Int64Array:
    """Per point, the innermost interval on its line with `start <= time < end`, or -1.

    Innermost is the latest to start, then the shortest, then the last.
    """
    point_line, point_time = _int32(point_line), _int64(point_time)
    line, start, end = _int32(line), _int64(start), _int64(end)
    found = np.empty(len(point_line), np.int64)
    interval_loops.enclosing(
        len(point_line),
        _order(point_line, point_time, point_time),
        point_line,
        point_time,
        *_sorted(line, start, end),
        found,
    )
    return found


def pair_regions(line: npt.ArrayLike, time: npt.ArrayLike, opens: npt.ArrayLike) -> Regions:
    """Join opening and closing events (`StartRegion`, `StopRegion`) on a line to regions.

    A closing closes the latest region that is open on its line; one without is ignored. A region
    that is never closed ends with the last of the events given for its line.

    Args:
        line, time: of all the events; those of one line and time come in the order given.
        opens: bool, whether the event opens a region, else it closes one.
    """
    line, time = _int32(line), _int64(time)
    opens = np.require(opens, np.bool_, ["C"])
    _check_lengths(line, opens)
    closed_at = np.empty(len(line), np.int64)
    order, stack = _order(line, time, time), np.empty(len(line), np.int64)
    interval_loops.pair(len(line), order, line, time, opens.view(np.int8), stack, closed_at)
    opening = np.flatnonzero(opens)
    return Regions(opening, line[opening], time[opening], closed_at[opening])


def thread_pool_roots(
    records: tuple[npt.ArrayLike, npt.ArrayLike, npt.ArrayLike],
    regions: tuple[npt.ArrayLike, npt.ArrayLike, npt.ArrayLike, npt.ArrayLike],
    ops: tuple[npt.ArrayLike, npt.ArrayLike, npt.ArrayLike],
) -> Int64Array:
    """Per region of a thread pool, the op that the work was done for, or -1.

    A region was enqueued by the record of the same id. If the innermost interval around that record
    is an op, that is the answer; if it is another region (work that enqueues work), the answer is
    that region's; if there is neither, none.

    Args:
        records: (line, time, id) of `ThreadpoolListener::Record` events; id is their stat `_p`.
        regions: (line, start, end, id) of regions, as from `pair_regions`; id is the stat `_c` of
            their `StartRegion`. When an id is used again, the latest record before the region
            counts.
        ops: (line, start, end) of ops: graph ops, or XLA's thunks.
    """

    record_line, record_time, record_id = _int32(records[0]), *map(_int64, records[1:])
    region_start, region_id = _int64(regions[1]), _int64(regions[3])
    _check_lengths(record_line, record_time, record_id)
    _check_lengths(region_start, region_id)
    op = enclosing(record_line, record_time, *ops)
    outer = enclosing(record_line, record_time, *regions[:3])
    op_start = np.append(_int64(ops[1]), _NEVER)[op]
    outer_start = np.append(region_start, _NEVER)[outer]
    op[op_start < outer_start] = -1  # the op is around the region
    record = match_ids(record_id, record_time, region_id, region_start)
    return follow_chains(np.append(outer, -1)[record], np.append(op, -1)[record])


def follow_chains(parent: Int64Array, root: Int64Array) -> Int64Array:
    """`root`, and where it is -1 the root of the end of the chain of `parent` (indices, or -1)."""
    root = root.copy()
    settled, chain = np.zeros(len(root), np.int8), np.empty(len(root), np.int64)
    interval_loops.follow(len(root), parent, root, settled, chain)
    return root


def match_ids(
    identity: Int64Array, time: Int64Array, asked: Int64Array, asked_time: Int64Array
) -> Int64Array:
    """Per asked id, the latest with that id that is not later, else the earliest; -1 without."""
    found = np.empty(len(asked), np.int64)
    places = 1 << (2 * len(identity) + 1).bit_length()
    table = np.full(places, -1, np.int32)
    if not interval_loops.match_unique_ids(
        len(identity), identity, table, places - 1, len(asked), asked, found
    ):
        by_id = np.lexsort((time, identity))
        asked_by_id = np.lexsort((asked_time, asked))
        interval_loops.match_ids(
            len(identity),
            by_id,
            identity,
            time,
            len(asked),
            asked_by_id,
            asked,
            asked_time,
            found,
        )
    return found


_NEVER = np.iinfo(np.int64).min  # index -1 finds it at the end of an array it was appended to


def _order(line: Int32Array, start: Int64Array, end: Int64Array) -> Int64Array:
    """The order by line, start, longest first, index."""
    _check_lengths(line, start, end)
    if interval_loops.is_ordered(len(line), line, start, end):
        return np.arange(len(line))
    return np.lexsort((-end, start, line))


def _sorted(line: Int32Array, start: Int64Array, end: Int64Array) -> tuple[Any, ...]:
    """Intervals as the kernels take them: number, order, columns, room for a stack."""
    return len(line), _order(line, start, end), line, start, end, np.empty(len(line), np.int64)


# Compiled code is made for one type each, contiguous.


def _int64(values: npt.ArrayLike) -> Int64Array:
    return np.require(values, np.int64, ["C"])


def _int32(values: npt.ArrayLike) -> Int32Array:
    return np.require(values, np.int32, ["C"])


def _check_lengths(*arrays: npt.NDArray[Any]) -> None:
    # The compiled loops do not check bounds.
    if len({len(array) for array in arrays}) > 1:
        raise ValueError(f"arrays of different lengths: {[len(array) for array in arrays]}")
