"""The arithmetic and memory traffic of one execution of an operation."""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class Work:
    """Work of ONE execution over the whole batch; None where it is not known.

    ``macs``: multiply-accumulates of contractions. ``mults``: ``macs`` plus element-wise
    multiplications. ``flops``: ``2 * macs`` plus element-wise operations at one each.
    ``transcendentals``: evaluations of exp, tanh, sqrt and their kind, which are in none of the
    others. ``bytes``: inputs and outputs once; None in what a formula returns stands for that
    default and is filled in by :func:`tftrace.counts.registry.count_op`. ``reason`` says why
    something is unknown.
    """

    mults: int | None = 0
    macs: int | None = 0
    flops: int | None = 0
    transcendentals: int | None = 0
    bytes: int | None = None
    reason: str | None = None

    @classmethod
    def unknown(cls, reason: str) -> Work:
        """Work of which nothing is known, and why."""
        return cls(None, None, None, None, None, reason)

    @classmethod
    def nothing(cls) -> Work:
        """No arithmetic and no traffic."""
        return cls(0, 0, 0, 0, 0)

    @classmethod
    def contraction(cls, macs: int) -> Work:
        """``macs`` multiply-accumulates: as many multiplications, two operations each."""
        return cls(mults=macs, macs=macs, flops=2 * macs)

    @classmethod
    def elementwise(cls, count: int, *, mults: int = 0, ops: int = 0, transc: int = 0) -> Work:
        """``count`` elements, each with ``mults`` multiplications among ``ops`` operations."""
        return cls(mults=mults * count, flops=ops * count, transcendentals=transc * count)

    def with_bytes(self, count: int | None) -> Work:
        """This work, moving ``count`` bytes."""
        return replace(self, bytes=count)
