"""A machine with round numbers: a call of predict costs 30 ms, a batch 1 ms, a dispatch nothing."""

from tftrace.machine.bench.timing import Measured
from tftrace.machine.model import MachineModel


def steady(value: float) -> Measured:
    """Measured five times, the same each time."""
    return Measured(best=value, median=value, iqr=0.0, n=5)


MACHINE = MachineModel(
    machine="made by hand",
    tensorflow="0",
    threads=(0, 0),
    matmul_gmacs={"float32": steady(50.0)},
    conv_gmacs=steady(50.0),
    bandwidth_gb=((1_000, steady(10.0)),),
    dispatch_us=steady(0.0),
    predict_batch_ms=steady(1.0),
    predict_call_ms=steady(30.0),
    predict_gb=None,
)
