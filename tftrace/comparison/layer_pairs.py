"""Which layer of one model is which of another: by given names, else by type, shape and order."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from tftrace.api.profile import Profile

_COLUMNS = [
    *("path", "type", "a_ms", "b_ms", "difference_ms", "a_mults", "b_mults", "side"),
    *("a_path", "b_path"),
]

Pair = tuple[int | None, int | None]

# What two layers of one type have in common decides which of several they are.
_TYPE, _SHAPE, _PARAMS, _NAME = 8, 4, 4, 1


def layer_pairs(a: pd.DataFrame, b: pd.DataFrame) -> Iterator[Pair]:
    """Rows of two **layers** tables that are the same layer, in execution order.

    Layers that bear the same name, not one that Keras made up, are the same wherever they stand.
    All others are aligned in order, as many as possible, never two of different types; of those
    possible, the ones with the same output shape, as many parameters and the same name. Made-up
    names mean little: they number the layers that a process has made.

    Yields: (position in ``a``, position in ``b``); None where the other model has no such layer.
    A layer that only ``a`` has comes before what follows it there.
    """
    partner = dict(_named_alike(a, b))
    taken = set(partner.values())
    left = [i for i in range(len(a)) if i not in partner]
    partner |= _aligned(a, b, left, [j for j in range(len(b)) if j not in taken])
    whose = {j: i for i, j in partner.items()}
    alone = [i for i in range(len(a)) if i not in partner]
    following, upto = len(a), []
    for j in reversed(range(len(b))):
        following = whose.get(j, following)
        upto.append(following)
    for j, limit in enumerate(reversed(upto)):
        while alone and alone[0] < limit:
            yield alone.pop(0), None
        yield whose.get(j), j
    yield from ((i, None) for i in alone)


def layers_side_by_side(a: Profile, b: Profile) -> pd.DataFrame:
    """The table ``layers`` of a comparison; times in ms per sample, null where a side has none."""
    pairs = list(layer_pairs(a.layers, b.layers))
    table = pd.DataFrame()
    for letter, profile, places in zip("ab", (a, b), zip(*pairs, strict=True), strict=True):
        rows = profile.layers.assign(
            path=below_model(profile.layers["path"]),
            # Per sample, so that runs over different amounts of data compare.
            ms=profile.layers["wall_ms"] / profile.run["trace"]["samples"],
        )
        # Position -1 is no row, and so a null in every column.
        rows = rows[["path", "type", "ms", "mults"]].reset_index(drop=True)
        rows = rows.reindex([-1 if place is None else place for place in places])
        table[[f"{letter}_{name}" for name in rows]] = rows.reset_index(drop=True)
    table["path"] = table["b_path"].fillna(table["a_path"])
    table["type"] = table["a_type"].fillna(table["b_type"])
    table["difference_ms"] = table["b_ms"].fillna(0) - table["a_ms"].fillna(0)
    table["side"] = ["B" if i is None else "A" if j is None else "both" for i, j in pairs]
    return table[_COLUMNS]


def below_model(paths: pd.Series) -> pd.Series:
    """Paths below the model; that of the model itself, which comes first, is empty."""
    root = str(paths.iloc[0]).partition("/")[0] if len(paths) else ""
    return paths.map(lambda path: "" if path == root else path.removeprefix(f"{root}/"))


def _named_alike(a: pd.DataFrame, b: pd.DataFrame) -> Iterator[tuple[int, int]]:
    there = {path: j for j, path in enumerate(below_model(b["path"]))}
    for i, (path, kind) in enumerate(zip(below_model(a["path"]), a["type"], strict=True)):
        j = there.get(path)
        if j is not None and (not path or not _made_up(path, kind, b["type"].iloc[j])):
            yield i, j


def _made_up(path: str, *types: Any) -> bool:
    """Whether Keras named the layer after its type: ``re_lu_1`` of ``ReLU``."""
    name = re.sub(r"_\d+$", "", path.rpartition("/")[2]).replace("_", "")
    return name in [str(kind).lower() for kind in types]


def _aligned(a: pd.DataFrame, b: pd.DataFrame, left: list[int], right: list[int]) -> dict[int, int]:
    """The alignment of the rows ``left`` of a and ``right`` of b that has most in common."""
    worth = _worth(a.iloc[left], b.iloc[right])
    best = np.zeros((len(left) + 1, len(right) + 1), np.int64)
    for i, row in enumerate(worth):
        # A row of zeros pairs nothing; skipping a layer on either side costs nothing.
        paired = np.where(row > 0, best[i, :-1] + row, 0)
        best[i + 1, 1:] = np.maximum.accumulate(np.maximum(best[i, 1:], paired))
    found: dict[int, int] = {}
    i, j = len(left), len(right)
    while i and j:
        if best[i, j] == best[i - 1, j]:
            i -= 1
        elif best[i, j] == best[i, j - 1]:
            j -= 1
        else:
            i, j = i - 1, j - 1
            found[left[i]] = right[j]
    return found


def _worth(a: pd.DataFrame, b: pd.DataFrame) -> npt.NDArray[np.int64]:
    """What each row of ``a`` has in common with each of ``b``; 0 for different types."""

    def same(one: pd.Series, other: pd.Series) -> npt.NDArray[np.bool_]:
        return np.equal.outer(one.to_numpy(object), other.to_numpy(object)).astype(bool)

    shapes = [t["output_shape"].map(_without_batch) for t in (a, b)]
    names = [t["path"].map(lambda path: path.rpartition("/")[2]) for t in (a, b)]
    common = (
        _TYPE
        + _SHAPE * same(*shapes)
        + _PARAMS * same(a["params"], b["params"])
        + _NAME * same(*names)
    )
    return np.asarray(np.where(same(a["type"], b["type"]), common, 0), np.int64)


def _without_batch(shape: Any) -> str:
    return "" if shape is None else str(list(shape)[1:])
