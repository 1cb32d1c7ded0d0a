"""A run as a timeline in Chrome's trace event format.

https://docs.google.com/document/d/1CvAClvFfyA5R-PhYUmn5OOQtYMH4h6I0nSsKchNAySU describes it:
times in microseconds, ``X`` a slice, ``C`` a counter, ``M`` a name.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from tftrace.report.exports.files import file_format
from tftrace.version import __version__

if TYPE_CHECKING:
    from tftrace.api.profile import Profile

_LAYER_TRACK = "Keras layers"


@file_format("perfetto")
def _perfetto(profile: Profile) -> Iterator[str]:
    """Chrome's trace event format, which https://ui.perfetto.dev opens: layers, kernels by
    thread or stream, steps, how many kernels run at once, and the bytes held where noted."""
    events = profile.events.sort_values(["start_ns", "duration_ns"], ascending=[True, False])
    devices = list(dict.fromkeys(events["device"].astype(str)))
    process = {device: number for number, device in enumerate(devices, start=2)}
    yield '{"displayTimeUnit":"ms","otherData":'
    yield json.dumps({"tftrace": __version__, "model": str(profile.model["name"])})
    yield ',"traceEvents":[\n'
    yield json.dumps(_named("process_name", _LAYER_TRACK, 1, 0))
    for device, number in process.items():
        yield ",\n" + json.dumps(_named("process_name", device, number, 0))
    for each in (
        *_threads(events, process),
        *_steps(profile),
        *_layer_slices(profile, events),
        *_kernels(profile, events, process),
        *_running(events),
        *_memory(profile),
    ):
        yield ",\n" + json.dumps(each)
    yield "\n]}\n"


def _named(what: str, name: str, process: int, thread: int) -> dict[str, Any]:
    return {"ph": "M", "name": what, "pid": process, "tid": thread, "args": {"name": name}}


def _slice(name: str, row: Any, process: int, thread: int, **args: Any) -> dict[str, Any]:
    known = {key: _plain(value) for key, value in args.items() if not pd.isna(value)}
    start, lasting = float(row.start_ns) / 1e3, float(row.duration_ns) / 1e3
    place = {"ph": "X", "name": name, "pid": process, "tid": thread, "ts": start, "dur": lasting}
    return place | {"args": known}


def _plain(value: Any) -> Any:
    """A number of NumPy's or pandas' as JSON has it; None where it is not known."""
    if pd.isna(value):
        return None
    return value.item() if isinstance(value, np.generic) else value


def _line_numbers(events: pd.DataFrame) -> dict[tuple[str, str], int]:
    pairs = dict.fromkeys(
        zip(events["device"].astype(str), events["line"].astype(str), strict=True)
    )
    return {pair: number for number, pair in enumerate(pairs, start=1)}


def _threads(events: pd.DataFrame, process: dict[str, int]) -> Iterator[dict[str, Any]]:
    for (device, line), number in _line_numbers(events).items():
        yield _named("thread_name", line, process[device], number)


def _kernels(
    profile: Profile, events: pd.DataFrame, process: dict[str, int]
) -> Iterator[dict[str, Any]]:
    lines = _line_numbers(events)
    macs = profile.ops.drop_duplicates("op").set_index("op")["macs"]
    for row in events.itertuples():
        device = str(row.device)
        yield _slice(
            str(row.op_type),
            row,
            process[device],
            lines[device, str(row.line)],
            op=row.op,
            layer=row.layer,
            macs=macs.get(row.op, None),
        )


def _layer_slices(profile: Profile, events: pd.DataFrame) -> Iterator[dict[str, Any]]:
    """Consecutive kernels of one layer and thread as a slice, containers around their layers."""
    types = profile.layers.set_index("path")["type"].to_dict()
    macs = profile.layers.set_index("path")["macs"].to_dict()
    owned = events[events["layer"].notna()]
    for number, ((_, line), mine) in enumerate(owned.groupby(["device", "line"], sort=False), 1):
        yield _named("thread_name", f"layers, {line}", 1, number)
        paths = [tuple(str(path).split("/")) for path in mine["layer"]]
        steps = mine["step"].fillna(-1).tolist()
        starts = mine["start_ns"].to_numpy(np.int64)
        ends = starts + mine["duration_ns"].to_numpy(np.int64)
        for depth in range(1, max(map(len, paths), default=0) + 1):
            keys = [
                (s, p[:depth]) if len(p) >= depth else None
                for s, p in zip(steps, paths, strict=True)
            ]
            for first, last in _stretches(keys):
                path = "/".join(paths[first][:depth])
                end = int(ends[first : last + 1].max())
                yield {
                    "ph": "X",
                    "name": paths[first][depth - 1],
                    "pid": 1,
                    "tid": number,
                    "ts": float(starts[first]) / 1e3,
                    "dur": (end - int(starts[first])) / 1e3,
                    "args": {
                        "path": path,
                        "type": str(types.get(path, "")),
                        **({} if pd.isna(macs.get(path)) else {"macs": int(macs[path])}),
                    },
                }


def _stretches(keys: list[Any]) -> Iterator[tuple[int, int]]:
    """First and last index of each run of equal keys; those that are None are left out."""
    first = 0
    for index in range(1, len(keys) + 1):
        if index == len(keys) or keys[index] != keys[first]:
            if keys[first] is not None:
                yield first, index - 1
            first = index


def _steps(profile: Profile) -> Iterator[dict[str, Any]]:
    if not len(profile.steps):
        return
    begin = profile.window_start_ns / 1e3
    yield _named("thread_name", "steps", 1, 0)
    for row in profile.steps.to_dict(orient="records"):
        at = begin + 1e3 * float(row["start_ms"])
        place = {"ph": "X", "name": f"step {row['step']}", "pid": 1, "tid": 0, "ts": at}
        yield place | {
            "dur": 1e3 * float(row["wall_ms"]),
            "args": {"samples": _plain(row["samples"])},
        }


def _running(events: pd.DataFrame) -> Iterator[dict[str, Any]]:
    """How many kernels run at once, at each change."""
    starts = events["start_ns"].to_numpy(np.int64)
    ends = starts + events["duration_ns"].to_numpy(np.int64)
    at = np.concatenate([starts, ends])
    change = np.concatenate([np.ones(len(starts), int), -np.ones(len(ends), int)])
    order = np.lexsort((change, at))
    level = np.cumsum(change[order])
    last = np.append(np.diff(at[order]) != 0, True) if len(order) else np.empty(0, bool)
    for time, running in zip(at[order][last].tolist(), level[last].tolist(), strict=True):
        counter = {"ph": "C", "name": "kernels running", "pid": 1, "ts": time / 1e3}
        yield counter | {"args": {"kernels": running}}


def _memory(profile: Profile) -> Iterator[dict[str, Any]]:
    """The bytes held, at each change."""
    for ns, size in profile.live_line:
        counter = {"ph": "C", "name": "bytes held", "pid": 1, "ts": ns / 1e3}
        yield counter | {"args": {"bytes": size}}
