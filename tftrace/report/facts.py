"""What every report says of a run in the same words."""

from __future__ import annotations

from typing import Any


def what_ran(machine: dict[str, Any]) -> list[str]:
    """Kernels' library, allocator and instruction sets; runs of earlier versions did not say."""
    onednn = machine.get("onednn")
    told = ["oneDNN not known" if onednn is None else f"oneDNN {'on' if onednn else 'off'}"]
    if machine.get("allocator") is not None:
        told.append(f"allocator {machine['allocator']}")
    sets = machine.get("instruction_sets")
    if sets:
        told.append(" ".join(sets))
    if machine.get("instruction_limit") is not None:
        told.append(f"oneDNN held to {machine['instruction_limit']}")
    return told
