"""What training takes of memory beside predict, whatever the batch."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Training:
    """Bytes that last from step to step, or are of the weights' sizes.

    Attributes:
        optimizer: Keras's name of its class.
        gradients_bytes: one gradient for each weight that learns: the most that they hold, since
            an optimizer that needs no norm over all may give each back behind its update, and that
            of an embedding may be of the rows that were looked up alone.
        optimizer_bytes: of the optimizer's variables (moments, averages, its counters).
    """

    optimizer: str
    gradients_bytes: int
    optimizer_bytes: int

    def to_dict(self) -> dict[str, Any]:
        """As JSON types."""
        return asdict(self)
