"""What every report says of a run in the same words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pandas as pd

from tftrace.counts import Coverage
from tftrace.tables.frame import total
from tftrace.text import count_text


def what_ran(machine: dict[str, Any], sets: bool = True) -> list[str]:
    """Kernels' library, allocator and, with ``sets``, instruction sets; runs of
    earlier versions did not say."""
    onednn = machine.get("onednn")
    told = ["oneDNN not known" if onednn is None else f"oneDNN {'on' if onednn else 'off'}"]
    if machine.get("allocator") is not None:
        told.append(f"allocator {machine['allocator']}")
    if sets and machine.get("instruction_sets"):
        told.append(" ".join(machine["instruction_sets"]))
    if machine.get("instruction_limit") is not None:
        told.append(f"oneDNN held to {machine['instruction_limit']}")
    return told


def what_is_counted(layers: pd.DataFrame, coverage: dict[str, Any]) -> Iterator[str]:
    """How much of the graph is counted, and where that is not all of it, the least it can be."""
    yield f"counted: {Coverage(**coverage)}".replace(" counted;", ";").removesuffix(" counted")
    if len(layers) and total(layers["mults"]) is None:
        yield (
            "mults of all layers: not known, since those of a part are not; "
            f"at least {count_text(layers['mults'].sum())}"
        )


def noise_text(run: Mapping[str, Any]) -> str | None:
    """What else the machine did while the run was measured; None where it was quiet or unknown."""
    noise = run["noise"]
    return f"noise while it was measured: {'; '.join(noise)}" if noise else None
