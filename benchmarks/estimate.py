"""Error of `tftrace estimate` on networks that nothing was fitted to.

    python benchmarks/estimate.py [--batch 1,8,32] [--batches 2] [--repeats 5] [--out FILE]
        [--phase predict] [NETWORK ...]

Each network is measured, estimated, and measured again, and all is added to FILE (JSON lines),
where a later run goes on; what is there is printed as a table, with the errors' distribution beside
that of multiplications alone, and of what the machine itself changed between the two measurements:
no estimate can be nearer than that. Set TF_ENABLE_ONEDNN_OPTS for the kernels, and a FILE for each.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import time
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

_COLUMNS = ("ms", "low_ms", "high_ms", "mac_only_ms")
_SLOW_MS = 3000


def main() -> None:
    """Go on where FILE ends, and print what is in it."""
    arguments = _arguments()
    rows = [json.loads(line) for line in arguments.out.open()] if arguments.out.exists() else []
    done = {(row["network"], row["batch"]) for row in rows}
    from estimate_networks import NETWORKS

    for batch in map(int, arguments.batch.split(",")):
        for name in arguments.networks or NETWORKS:
            if (name, batch) not in done:
                row = _tried(name, batch, arguments)
                rows.append(row)
                with arguments.out.open("a") as file:
                    print(json.dumps(row), file=file)
                print(_line(row), flush=True)
    _print(rows)


def _tried(name: str, batch: int, arguments: argparse.Namespace) -> dict[str, Any]:
    import keras
    from estimate_networks import NETWORKS

    from tftrace.api.estimate import estimate, measure

    keras.backend.clear_session()
    model = NETWORKS[name]()
    if arguments.phase == "fit":
        model.compile("adam", "mse")
    shapes = [(batch, *model.input_shape[1:])]

    def measured(repeats: int) -> float:
        return measure(model, shapes, arguments.batches, repeats=repeats, phase=arguments.phase)

    first = measured(3)
    slow, repeats = first > _SLOW_MS, arguments.repeats
    repeats = 3 if slow else max(repeats, round(min(12 * repeats, 1000 * repeats / first)))
    before = measured(repeats)
    began = time.perf_counter()
    told = estimate(model, shapes, batches=arguments.batches, phase=arguments.phase)
    row = {"network": name, "batch": batch, "seconds": time.perf_counter() - began}
    row |= {column: getattr(told.total, column) for column in _COLUMNS}
    after = measured(repeats)
    measured_ms = statistics.mean((before, after))
    row |= {"before_ms": before, "after_ms": after, "measured_ms": measured_ms}
    return row | {"unknown": told.unknown}


def _error(row: dict[str, Any], column: str = "ms") -> float:
    return float(row[column]) / row["measured_ms"] - 1


def _drift(row: dict[str, Any]) -> float:
    return float(row["after_ms"]) / row["before_ms"] - 1


def _line(row: dict[str, Any]) -> str:
    inside = row["low_ms"] <= row["measured_ms"] <= row["high_ms"]
    alone = "" if row["mac_only_ms"] is None else f"{_error(row, 'mac_only_ms'):+7.1%}"
    return (
        f"{row['network']:22} {row['batch']:4} {row['measured_ms']:8.1f} {_drift(row):+7.1%} "
        f"{row['ms']:8.1f} {_error(row):+7.1%} {'' if inside else 'outside':8} {alone} "
        f"{row['seconds']:5.0f} s"
    )


def _print(rows: list[dict[str, Any]]) -> None:
    print(f"{'network':22} batch measured   again estimate   error          MACs only  took")
    for row in rows:
        print(_line(row))
    for batch in sorted({row["batch"] for row in rows}):
        _distribution(f"batch {batch}", [row for row in rows if row["batch"] == batch])
    _distribution("all", rows)


def _distribution(title: str, rows: list[dict[str, Any]]) -> None:
    alone = [abs(_error(row, "mac_only_ms")) for row in rows if row["mac_only_ms"] is not None]
    inside = sum(row["low_ms"] <= row["measured_ms"] <= row["high_ms"] for row in rows)
    print(
        f"{title}: {len(rows)} networks, {_spread([abs(_error(row)) for row in rows])}, "
        f"{inside / len(rows):.0%} inside the interval, mean "
        f"{statistics.mean(_error(row) for row in rows):+.1%}; multiplications alone: median "
        f"{statistics.median(alone):.0%}; measured again: {_spread([abs(_drift(r)) for r in rows])}"
    )


def _spread(errors: list[float]) -> str:
    near = sum(error <= 0.1 for error in errors) / len(errors)
    return f"median {statistics.median(errors):.1%}, {near:.0%} within 10%, worst {max(errors):.1%}"


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("networks", nargs="*")
    parser.add_argument("--batch", default="1,8,32")
    parser.add_argument("--batches", type=int, default=2)
    parser.add_argument("--phase", choices=["predict", "fit"], default="predict")
    parser.add_argument("--repeats", type=int, default=5, help="more of short calls, fewer of long")
    parser.add_argument("--out", type=Path, default=Path("estimates.jsonl"))
    return parser.parse_args()


if __name__ == "__main__":
    main()
