"""What else than the model differs between two runs, and may explain their difference."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tftrace.api.profile import Profile

_MACHINE = {
    "cpu": "processor",
    "cores": "cores",
    "instruction_sets": "instruction sets",
    "instruction_limit": "limit of oneDNN's instruction sets",
    "onednn": "oneDNN",
    "allocator": "allocator",
    "intra_op_threads": "intra-op threads",
    "inter_op_threads": "inter-op threads",
    "devices": "devices",
}
_VERSIONS = {"tensorflow": "TensorFlow", "keras": "Keras", "tf_keras": "tf_keras"}


@dataclass(frozen=True)
class Difference:
    """One thing that differs beside the model: what, and how each run has it, in words."""

    what: str
    a: str
    b: str

    def __str__(self) -> str:
        return f"{self.what}: A {self.a}, B {self.b}"


def setting_differences(a: Profile, b: Profile) -> list[Difference]:
    """Machine, kernels' library, threads and versions that are not the same in both runs.

    What only one of them knows is told as well: it may differ.
    """
    return [
        *_differing(a.machine or {}, b.machine or {}, _MACHINE, "unknown"),
        *_differing(a.versions, b.versions, _VERSIONS, "none"),
    ]


def _differing(
    a: dict[str, Any], b: dict[str, Any], names: dict[str, str], missing: str
) -> list[Difference]:
    return [
        Difference(name, _words(a.get(key), missing), _words(b.get(key), missing))
        for key, name in names.items()
        if a.get(key) != b.get(key)
    ]


def _words(value: Any, missing: str) -> str:
    if value is None:
        return missing
    if isinstance(value, bool):
        return "on" if value else "off"
    return " ".join(map(str, value)) if isinstance(value, list) else str(value)
