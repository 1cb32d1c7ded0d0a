"""Memory that is handed out and taken back, by whom, and the most at once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass(eq=False, slots=True)
class Buffer:
    """Memory that is handed out once, and how many need it.

    ``lent`` is the caller's. ``parts`` are the tensors of a list, of which it has at most ``most``.
    """

    bytes: int
    maker: str
    needed: int = 1
    lent: bool = False
    parts: list[Buffer] = field(default_factory=list)
    most: int | None = None

    def taken(self) -> Buffer:
        """The same, needed once more."""
        self.needed += 1
        return self

    @property
    def is_free(self) -> bool:
        """Whether the one that asks is the only one who needs it, and may write over it."""
        return not self.lent and self.needed == 1


class Heap:
    """What is held now, and what was held at most."""

    def __init__(self) -> None:
        self.held = self.most = 0
        self._changes: list[tuple[str, int]] = []
        self._at_most = 0

    def new(self, size: int, maker: str) -> Buffer:
        """Hand out so many bytes."""
        self._change(maker, size)
        return Buffer(size, maker)

    def let_go(self, buffers: Sequence[Buffer]) -> None:
        """Each is needed once less; what nobody needs is taken back."""
        for buffer in buffers:
            buffer.needed -= 1
            if not buffer.needed:
                self._change(buffer.maker, -buffer.bytes)
                self.let_go(buffer.parts)

    def held_at_most(self) -> dict[str, int]:
        """Bytes by maker at the first moment of the most."""
        held: Counter[str] = Counter()
        for maker, change in self._changes[: self._at_most]:
            held[maker] += change
        return {maker: size for maker, size in held.items() if size}

    def _change(self, maker: str, change: int) -> None:
        self._changes.append((maker, change))
        self.held += change
        if self.held > self.most:
            self.most, self._at_most = self.held, len(self._changes)
