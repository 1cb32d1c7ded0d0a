"""Real manifests, damaged in one to three places, through everything that reads a run.

``python mutated_manifests.py RUN [N]`` prints what was raised, where and how often, for N of them.
"""

import copy
import json
import random
import shutil
import sys
import tempfile
import traceback
from collections import Counter
from pathlib import Path
from typing import Any

import tftrace
from tftrace.errors import TftraceError
from tftrace.report.exports.tables import export_tables
from tftrace.report.html.run import write_html

VALUES: list[Any] = [
    *(None, True, False, -1, 0, 1, 7, 1.5, -0.25, 1e300, 2**31, 2**63 - 1, 2**64, 10**20),
    *("", "x", "\ud800", "a\x1b[2Jb", "[/]", "é" * 300, "5", [], {}, [None], [1], ["x"], [[0]]),
    *({"a": 1}, {"schema": 1}, [[[[]]]]),
]


def places(data: Any) -> list[tuple[Any, Any]]:
    """Every (container, key) in it."""
    found, todo = [], [data]
    while todo:
        part = todo.pop()
        keys = list(part) if isinstance(part, dict) else range(len(part))
        for key in keys:
            found.append((part, key))
            if isinstance(part[key], dict | list):
                todo.append(part[key])
    return found


def mutated(manifest: Any, seed: int) -> Any:
    """A copy with one to three faults; the same for the same seed."""
    draw = random.Random(seed)
    data = copy.deepcopy(manifest)
    for _ in range(draw.choice((1, 1, 1, 2, 3))):
        spots = places(data)
        if not spots:
            return data
        # Most places are deep inside columns: every depth gets its turn.
        outer = [spot for spot in spots if not isinstance(spot[0], list)]
        part, key = draw.choice(outer if outer and draw.random() < 0.6 else spots)
        other_part, other_key = draw.choice(spots)
        kind = draw.randrange(6)
        if kind <= 1:
            part[key] = copy.deepcopy(draw.choice(VALUES))
        elif kind == 2:
            del part[key]
        elif kind == 3:
            part[key] = copy.deepcopy(other_part[other_key])
        elif kind == 4 and isinstance(part[key], int | float):
            part[key] = draw.choice((-part[key], part[key] * 10**6, part[key] + 1, part[key] - 1))
        elif isinstance(part, list):
            part.insert(key, copy.deepcopy(part[key]))
        else:
            part[key] = [part[key]]
    return data


def read_all(run: Path, scratch: Path) -> str:
    """The report and every export of a run, as far as it can be read; what was refused, or ""."""
    try:
        profile = tftrace.load(run)
        str(profile)
        profile._repr_html_()
        profile.tree(1)
        export_tables(profile, "csv", scratch / "tables")
        export_tables(profile, "json", scratch / "all.json")
        write_html(profile, scratch / "page.html")
    except TftraceError as error:
        return str(error)
    return ""


def place_of(error: Exception) -> str:
    """The innermost frame of tftrace itself."""
    inside = [f for f in traceback.extract_tb(error.__traceback__) if "/tftrace/" in f.filename]
    last = inside[-1]
    name = last.filename.rpartition("/tftrace/")[2]
    return f"{name}:{last.lineno} {type(error).__name__}: {str(error)[:90]}"


def main(run: Path, count: int, first: int = 0) -> int:
    """Print the faults; returns how many there were."""
    manifest = json.loads(next(run.rglob("*.tftrace.json")).read_text())
    faults: Counter[str] = Counter()
    seeds: dict[str, int] = {}
    outcomes: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "run"
        shutil.copytree(run, folder)
        path = next(folder.rglob("*.tftrace.json"))
        for seed in range(first, first + count):
            path.write_text(json.dumps(mutated(manifest, seed)))
            try:
                outcomes["refused" if read_all(folder, Path(scratch)) else "read"] += 1
            except Exception as error:
                where = place_of(error)
                faults[where] += 1
                seeds.setdefault(where, seed)
    for where, times in faults.most_common():
        print(f"{times:5} {where} (seed {seeds[where]})")
    print(f"{count} mutations: {dict(outcomes)}, {faults.total()} faults")
    return faults.total()


if __name__ == "__main__":
    sys.exit(bool(main(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 1500)))
