"""Why a layer takes more of the time than of the multiplications, of its own evidence."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass
from math import isnan, nan
from typing import Any

import pandas as pd

from tftrace.findings.basis.evidence import Evidence
from tftrace.findings.basis.figures import Kernel, by_layer, kernels, total
from tftrace.findings.basis.reasons import REASONS, UNKNOWN, reason_of
from tftrace.text import bytes_text, ms_text

COLUMNS = (
    *("path", "type", "wall_ms", "time_share", "mults_share", "reason", "reason_ms", "why"),
    *("remedy", "finding"),
)
"""Of the table that `disagreements` makes."""

_NUMBERS = ("wall_ms", "time_share", "mults_share", "reason_ms")
_LEAST_TIME = 0.02
_FAR_ABOVE = 2.0
_NAMES = 3
_TOLD = 0.9
"""Of a layer's time; as many reasons are told as that takes, the longest first."""


@dataclass(frozen=True)
class _Case:
    """A layer and those of its kernels whose time has the same reason."""

    row: dict[Hashable, Any]
    part: Sequence[Kernel]
    samples: int | None
    steps: int
    threads: int
    usual_rate: float
    """Multiply-accumulates of all layers over their time, 1e9 per second; NaN when unknown."""

    @property
    def ms(self) -> float:
        return total(kernel.wall_ms for kernel in self.part)


def disagreements(profile: Evidence, found: Sequence[dict[str, Any]] = ()) -> pd.DataFrame:
    """The layers whose share of the time is far above their share of the multiplications, and why.

    Those are all that take at least 2 % of the layers' time and at least twice their share of the
    multiplications. A layer whose multiplications are not known is not compared; of a model in
    which some are not known, a share is the most that it can be.

    Args:
        found: the run's findings; where one is about the layer, its kind and remedy are told.

    Returns:
        One row per layer, longest first: ``path, type, wall_ms``, its shares of all layers'
        ``time_share, mults_share``, the ``reason`` that most of its time has (see
        `tftrace.findings.basis.reasons`; ``unknown`` where nothing tells), ``why`` in words: that
        reason and as many more as explain 90 % of its time, ``reason_ms`` of its time that they
        hold for, ``remedy`` (null: none is known), and the kind of the ``finding`` about it (null:
        there is none).
    """
    layers = profile.layers
    time, mults = float(layers["wall_ms"].sum()), layers["mults"].sum()
    if not time or not mults:
        return no_disagreements()
    threads, trace = profile.machine["intra_op_threads"] or 1, profile.run["trace"]
    usual = total(layers["macs"].to_numpy(float, na_value=nan)) * (trace["samples"] or nan) / time
    of_layer = by_layer(kernels(profile))
    about = {f["layer"]: f for f in reversed(found) if f["saving_bytes"] is None}
    rows = []
    for row in layers[layers["mults"].notna()].to_dict(orient="records"):
        of_time, of_mults = row["wall_ms"] / time, float(row["mults"] / mults)
        mine = of_layer.get(row["path"], [])
        if of_time < _LEAST_TIME or of_time < _FAR_ABOVE * of_mults or not mine:
            continue
        told = {
            reason: _Case(row, part, trace["samples"], len(profile.steps), threads, usual / 1e6)
            for reason, part in _most(mine, threads)
        }
        first = next(iter(told))
        known = total(case.ms for reason, case in told.items() if reason != UNKNOWN)
        why = "; ".join(_WORDS[reason](case) for reason, case in told.items())
        finding = about.get(row["path"])
        remedy = _remedy(first, told[first].part) if finding is None else finding["remedy"]
        rows.append(
            (
                *(row["path"], row["type"], row["wall_ms"], of_time, of_mults, first, known, why),
                *(remedy, None if finding is None else finding["kind"]),
            )
        )
    return _table(rows).sort_values("wall_ms", ascending=False, kind="stable", ignore_index=True)


def _table(rows: Sequence[tuple[Any, ...]]) -> pd.DataFrame:
    # As objects, for pandas takes None among texts for a number that is not there.
    table = pd.DataFrame(rows, columns=list(COLUMNS), dtype=object)
    return table.astype(dict.fromkeys(_NUMBERS, float))


def no_disagreements() -> pd.DataFrame:
    """The table without rows."""
    return _table([])


def explained(table: pd.DataFrame) -> tuple[float, float]:
    """Shares of the layers' time in layers that disagree: with a told reason, and without."""
    whole = float(table["time_share"].sum())
    told = float((table["time_share"] * table["reason_ms"] / table["wall_ms"]).sum())
    return told, whole - told


def _most(mine: Sequence[Kernel], threads: int) -> Iterator[tuple[str, list[Kernel]]]:
    """The reasons, longest first, until most of the layer's time has one."""
    parts: dict[str, list[Kernel]] = {}
    for kernel in mine:
        parts.setdefault(reason_of(kernel, threads), []).append(kernel)
    times = {reason: total(kernel.wall_ms for kernel in part) for reason, part in parts.items()}
    whole, told = total(times.values()), 0.0
    for reason in sorted(parts, key=lambda reason: -times[reason]):
        yield reason, parts[reason]
        told += times[reason]
        if told >= _TOLD * whole:
            return


def _names(part: Sequence[Kernel]) -> str:
    types = list(dict.fromkeys(k.op_type for k in sorted(part, key=lambda k: -k.wall_ms)))
    more = f" and {len(types) - _NAMES} more" if len(types) > _NAMES else ""
    return ", ".join(types[:_NAMES]) + more


def _memory(case: _Case) -> str:
    moved, least = case.row["bytes_executed"], case.row["bytes"]
    one = len(case.part) == 1
    text = "a kernel that goes" if one else f"{len(case.part)} kernels that each go"
    text += f" over the data once ({_names(case.part)})"
    if pd.isna(moved) or not case.samples:
        return f"{text}: memory decides, not multiplications"
    text += f"; the layer moved {bytes_text(float(moved))} per sample"
    if not pd.isna(least) and least and moved > 1.05 * least:
        text += f", {moved / least:.1f} times the least"
    rate = moved * case.samples / case.row["wall_ms"] / 1e6
    return f"{text}, at {rate:.1f} GB/s: memory decides, not multiplications"


def _copies(case: _Case) -> str:
    return f"{_names(case.part)} moved values and computed none, {_of(case)}"


def _transcendental(case: _Case) -> str:
    return (
        f"{_names(case.part)}, {_of(case)}: exp, tanh and their kind count as no multiplication "
        "and take as long as many"
    )


def _waiting(case: _Case) -> str:
    return f"{_of(case)} went by in {_names(case.part)}, which moves nothing: waiting"


def _small(case: _Case) -> str:
    calls = sum(kernel.calls for kernel in case.part)
    each = f"{1e3 * total(k.busy_ms for k in case.part) / calls:.1f} us" if calls else "no time"
    per_step = calls / case.steps if case.steps else calls
    many = "1 small kernel" if per_step == 1 else f"{per_step:,.0f} small kernels"
    return (
        f"{many} per step, {each} each ({_names(case.part)}): what comes with every kernel "
        "decides, not its arithmetic"
    )


def _one_thread(case: _Case) -> str:
    return f"{_names(case.part)} ran on one of {case.threads} threads, {_of(case)}"


def _product(case: _Case) -> str:
    macs = total(kernel.macs for kernel in case.part)
    text = f"{_names(case.part)} gets less out of the machine than the model's other products"
    if not case.samples or isnan(macs) or not case.ms:
        return text
    text += f": {macs * case.samples / case.ms / 1e6:.1f} GMAC/s"
    return text if isnan(case.usual_rate) else f"{text}, all layers {case.usual_rate:.1f}"


def _unknown(case: _Case) -> str:
    return f"the work of {_names(case.part)} is not known, so nothing tells why"


def _of(case: _Case) -> str:
    return f"{ms_text(case.ms)} of {ms_text(case.row['wall_ms'])} ms"


_WORDS: dict[str, Callable[[_Case], str]] = {
    "waiting": _waiting,
    "small kernels": _small,
    "one thread": _one_thread,
    "slow product": _product,
    "copies": _copies,
    "transcendentals": _transcendental,
    "memory": _memory,
    UNKNOWN: _unknown,
}
assert _WORDS.keys() == {*REASONS, UNKNOWN}


def _remedy(reason: str, part: Sequence[Kernel]) -> str | None:
    """What may help where no finding says more; None: nothing is known."""
    return None if reason == "memory" and len(part) < 2 else _REMEDIES.get(reason)


_REMEDIES = {
    "small kernels": "more samples per batch make each larger; XLA makes fewer: --try jit",
    "one thread": "more samples per batch, where it splits by sample; another formulation",
    "transcendentals": "a curve of less work (ReLU); XLA runs a chain in one pass: --try jit",
    "memory": "XLA makes one pass of several: --try jit",
}
