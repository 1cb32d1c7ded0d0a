"""A layer's time against what this machine could do at best."""

from __future__ import annotations

from dataclasses import dataclass

from tftrace.machine.model import MachineModel


@dataclass(frozen=True)
class Roof:
    """``bound`` is what limits the layer at best (compute, memory or overhead), ``share`` the
    roofline's time over the measured one; both None when unknown."""

    bound: str | None
    share: float | None


UNKNOWN = Roof(None, None)


def roof_of(
    machine: MachineModel | None,
    macs: float | None,
    traffic: float | None,
    kernels: float,
    seconds: float,
) -> Roof:
    """Roofline of one layer on one batch.

    Args:
        macs, traffic: multiply-accumulates and least bytes of the batch.
        kernels: kernels run for it; the executor's cost of them decides what bounds the layer
            but is not part of the share, since the measured time is that of the kernels alone.
        seconds: measured time of the batch.
    """
    if machine is None or macs is None or traffic is None or not seconds:
        return UNKNOWN
    if not macs and not traffic:
        return UNKNOWN
    bound = machine.bound(macs, traffic, kernels)
    return Roof(bound, machine.roofline_seconds(macs, traffic, 0) / seconds)
