"""What many captures say together: who is slow, in which layers, and what it adds up to.

A capture is one host's trace of one run. It is compared with its peers: the other hosts of its
run or, where the run has one host, the one-host runs of the same work (model, batch size, XLA) on
machines of the same kind.
"""

from __future__ import annotations

import pandas as pd

from tftrace.parsers.trials import AUTOTUNING
from tftrace.scan.read import INPUT_PIPELINE, own_ms

STRAGGLER = 1.2
"""From how many times the median of its peers on a capture is called a straggler."""

PER_SAMPLE = "wall per sample"
OPS = "operations"
DEVICE = "device operations"
_WORK = ["model", "batch_size", "jit"]


def compare_hosts(hosts: pd.DataFrame) -> pd.DataFrame:
    """`hosts` with five more columns, in the same order.

    - `peers`: what the captures that are compared with each other have in common.
    - `basis`: what is compared: wall time per sample where all peers have a manifest, else the
      time of operations on devices where all have any, else on hosts.
    - `time_ms`: that time.
    - `over_median`: it, as a multiple of the median of the OTHER captures among its peers, so that
      of two hosts the slower shows all that it is slower by; null for a capture without peers.
    - `straggler`: is that STRAGGLER or more?
    """
    table = hosts.assign(peers=_peers(hosts))
    candidates = {
        PER_SAMPLE: table["wall_ms"] / _positive(table["samples"]),
        DEVICE: table["device_ms"],
        OPS: table["ops_ms"],
    }
    time = pd.Series(pd.NA, index=table.index, dtype="Float64")
    basis = pd.Series(None, index=table.index, dtype=object)
    for name, values in candidates.items():
        everybody = values.notna().groupby(table["peers"]).transform("all") & basis.isna()
        time = time.mask(everybody, values.astype("Float64"))
        basis = basis.mask(everybody, name)
    over = time / _positive(time.groupby(table["peers"]).transform(_median_of_others))
    straggler = (over >= STRAGGLER).fillna(False).astype(bool)
    return table.assign(basis=basis, time_ms=time, over_median=over, straggler=straggler)


def _peers(hosts: pd.DataFrame) -> pd.Series:
    alone = hosts.groupby("run")["host"].transform("size") == 1
    known = hosts["model"].notna()
    work = (
        hosts["model"].astype(str)
        + ", batch size "
        + hosts["batch_size"].astype(str)
        + hosts["jit"].map(lambda jit: ", XLA" if jit is True else "").astype(str)
        + hosts["machine"].map(lambda name: "" if pd.isna(name) else f", on {name}").astype(str)
    )
    return hosts["run"].mask(alone & known, work).astype(object)


def _median_of_others(times: pd.Series) -> pd.Series:
    """For each time the median of all others; null where there is none, or one is null."""
    count = len(times) - 1
    if count < 1 or times.isna().any():
        return pd.Series(pd.NA, index=times.index, dtype="Float64")
    ordered, place = times.sort_values().to_numpy(float), times.rank(method="first").astype(int) - 1
    # Without the element at `place` those behind it move up by one.
    middle = [at + (place <= at) for at in ((count - 1) // 2, count // 2)]
    halves = [pd.Series(ordered[at], index=times.index) for at in middle]
    return ((halves[0] + halves[1]) / 2).astype("Float64")


def stragglers(hosts: pd.DataFrame) -> pd.DataFrame:
    """Rows of `compare_hosts` that are stragglers, the slowest first."""
    slow = hosts[hosts["straggler"]]
    return slow.sort_values("over_median", ascending=False, kind="stable", ignore_index=True)


def layer_spread(layers: pd.DataFrame, hosts: pd.DataFrame) -> pd.DataFrame:
    """Each layer's time over the captures that are peers; see `spread`. Unit: us per sample."""
    known = hosts.loc[hosts["samples"] > 0, ["run", "host", "peers", "samples"]]
    table = layers.merge(known, on=["run", "host"])
    return spread(table.assign(time=table["wall_ms"] * 1e3 / table["samples"]), "path", "us")


def op_spread(ops: pd.DataFrame, hosts: pd.DataFrame) -> pd.DataFrame:
    """Each op's time over the captures that are peers; see `spread`. Unit: ms of the trace.

    Ops of the input pipeline are left out: they wait for each other on many threads. So are trials
    of algorithms, which run once.
    """
    table = ops[~ops["op_type"].isin((INPUT_PIPELINE, AUTOTUNING))]
    table = table.assign(time=own_ms(table)).groupby(["run", "host", "op"], as_index=False)
    summed = table["time"].sum()
    return spread(summed.merge(hosts[["run", "host", "peers"]], on=["run", "host"]), "op", "ms")


def spread(table: pd.DataFrame, what: str, unit: str) -> pd.DataFrame:
    """Spread over captures of `table.time`, which has one row per capture and `what`.

    One row per `peers` and `what` of two captures or more: `captures`, `min_…`, `median_…`, `max_…`
    in `unit`, `max_over_median`, and `slowest_host` with its `slowest_run`. First comes what the
    slowest loses most by. A capture without the row does not count as 0.
    """
    table = table[table["time"].notna()]
    groups = table.groupby(["peers", what], sort=False)["time"]
    slowest = table.loc[groups.idxmax()] if len(table) else table
    numbers = groups.agg(captures="size", min="min", median="median", max="max").reset_index()
    rows = numbers.assign(
        max_over_median=numbers["max"] / _positive(numbers["median"]),
        slowest_host=slowest["host"].to_numpy(),
        slowest_run=slowest["run"].to_numpy(),
        lost=numbers["max"] - numbers["median"],
    )
    rows = rows[rows["captures"] > 1].sort_values(
        "lost", ascending=False, kind="stable", ignore_index=True
    )
    return rows.drop(columns="lost").rename(
        columns={name: f"{name}_{unit}" for name in ("min", "median", "max")}
    )


def op_type_totals(ops: pd.DataFrame) -> pd.DataFrame:
    """One row per device and op type over all captures, longest first.

    Columns: `device`, `op_type`, `captures` that have it, `occurrences`, `own_ms` (without ops
    inside) and its `share` of all on such devices. The input pipeline (`Dataset`) has no share and
    is in none: most of its time it waits, on threads of its own.
    """
    table = ops.assign(
        own_ms=own_ms(ops), capture=ops["run"].astype(str) + "\0" + ops["host"].astype(str)
    )
    rows = table.groupby(["device", "op_type"], as_index=False).agg(
        captures=("capture", "nunique"),
        occurrences=("occurrences", "sum"),
        own_ms=("own_ms", "sum"),
    )
    busy = rows["own_ms"].where(rows["op_type"] != INPUT_PIPELINE)
    rows["share"] = busy / _positive(busy.groupby(rows["device"]).transform("sum"))
    return rows.sort_values("own_ms", ascending=False, kind="stable", ignore_index=True)


def layer_totals(layers: pd.DataFrame, hosts: pd.DataFrame) -> pd.DataFrame:
    """One row per model and layer over all captures, longest first.

    Columns: `model`, `path`, `type`, `captures`, `wall_ms`, and its `share` of that model's layers.
    """
    table = layers.merge(hosts[["run", "host", "model"]], on=["run", "host"])
    rows = table.groupby(["model", "path"], as_index=False, sort=False).agg(
        type=("type", "first"), captures=("host", "size"), wall_ms=("wall_ms", "sum")
    )
    rows["share"] = rows["wall_ms"] / _positive(rows.groupby("model")["wall_ms"].transform("sum"))
    return rows.sort_values("wall_ms", ascending=False, kind="stable", ignore_index=True)


def _positive(values: pd.Series) -> pd.Series:
    """What one can divide by: null instead of 0."""
    return values.where(values > 0)
