"""What this machine can do at best: peaks, bandwidth by size, cost of an operation.

Plain data: reading, interpolating and writing it needs no TensorFlow. `tftrace.machine.calibrate`
measures it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Literal, TypeAlias

import msgspec

from tftrace.machine.bench.timing import Measured, pooled
from tftrace.machine.fits import KernelFit

Bound: TypeAlias = Literal["compute", "memory", "overhead"]

SCHEMA = 1


@dataclass(frozen=True)
class CallCost:
    """Milliseconds of a call of `predict`, or an epoch of `fit`, around the network.

    That is most of a small network's time, and drifts by a third within minutes on a shared
    machine.

    Attributes:
        batch_ms: per batch.
        call_ms: per call, beside its batches.
    """

    batch_ms: Measured
    call_ms: Measured

    @classmethod
    def of(cls, rounds: Iterable[tuple[Measured, Measured]]) -> CallCost:
        """Of measurements at several times: per batch, per call."""
        return cls(*(pooled(measured) for measured in zip(*rounds, strict=True)))


@dataclass(frozen=True)
class MachineModel:
    """Measured capabilities of one machine under one setting of TensorFlow.

    Roofs use the best repetition of each measurement (a roof is what can be reached undisturbed);
    median, interquartile range and count stand beside it.

    Attributes:
        machine: name of the processor and number of logical cores.
        tensorflow: version.
        threads: intra-op and inter-op setting, 0 for TensorFlow's default.
        matmul_gmacs: multiply-accumulates of a large MatMul, 1e9 per second, by element type.
        conv_gmacs: the same of a large float32 Conv2D.
        bandwidth_gb: bytes read and written by an element-wise operation, 1e9 per second, by
            working set in bytes, ascending.
        dispatch_us: microseconds the executor needs per operation, apart from its work.
        predict_batch_ms: milliseconds `model.predict` spends per batch beside the network.
        predict_call_ms: milliseconds `model.predict` spends per call beside its batches.
        predict_gb: bytes of its data that `model.predict` takes in, 1e9 per second; None in
            calibrations of versions that did not measure it.
        predict_variable_us: microseconds it spends per batch for each variable of the network, to
            hand it to the function and to read it; None likewise.
        kernels: what single kernels cost, by `tftrace.machine.fits.fit_key`; empty unless the
            calibration was a full one.
        warnings: why the numbers should not be trusted, in sentences; empty if all was steady.
        onednn: whether TensorFlow ran oneDNN's kernels; None where that was not recorded.
        instruction_sets: of the processor, those that kernels are chosen by; None likewise.
        instruction_limit: the set that ONEDNN_MAX_CPU_ISA held oneDNN to; None for no limit.
    """

    machine: str
    tensorflow: str
    threads: tuple[int, int]
    matmul_gmacs: Mapping[str, Measured]
    conv_gmacs: Measured
    bandwidth_gb: tuple[tuple[int, Measured], ...]
    dispatch_us: Measured
    predict_batch_ms: Measured
    predict_call_ms: Measured
    kernels: Mapping[str, KernelFit] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    onednn: bool | None = None
    instruction_sets: tuple[str, ...] | None = None
    instruction_limit: str | None = None
    predict_gb: Measured | None = None
    predict_variable_us: Measured | None = None

    @property
    def predict_cost(self) -> CallCost:
        """What `model.predict` costs around the network."""
        return CallCost(self.predict_batch_ms, self.predict_call_ms)

    def handing_over_ms(self, batch_bytes: int, variables: int) -> float:
        """What `model.predict` takes per batch to hand the network its data and its variables.

        Without what a calibration of an earlier version does not know.
        """
        rate, each = self.predict_gb, self.predict_variable_us
        data = 0.0 if rate is None else batch_bytes / rate.median / 1e6
        return data + (0.0 if each is None else variables * each.median / 1e3)

    def peak_gmacs(self, dtype: str = "float32") -> float:
        """Highest multiply-accumulate rate seen, in 1e9 per second.

        Raises:
            ValueError: if `dtype` was not measured.
        """
        if dtype not in self.matmul_gmacs:
            known = ", ".join(self.matmul_gmacs)
            raise ValueError(f"no peak was measured for {dtype}; measured: {known}")
        peak = self.matmul_gmacs[dtype].best
        return max(peak, self.conv_gmacs.best) if dtype == "float32" else peak

    def bandwidth(self, working_set_bytes: float) -> float:
        """Bytes per second, for data of that size in use.

        Linear in the logarithm of the size between measured sizes, constant beyond them.
        """
        sizes = [size for size, _ in self.bandwidth_gb]
        rates = [1e9 * measured.best for _, measured in self.bandwidth_gb]
        if working_set_bytes <= sizes[0]:
            return rates[0]
        for index in range(1, len(sizes)):
            if working_set_bytes <= sizes[index]:
                low, high = math.log(sizes[index - 1]), math.log(sizes[index])
                part = (math.log(working_set_bytes) - low) / (high - low)
                return rates[index - 1] + part * (rates[index] - rates[index - 1])
        return rates[-1]

    def roofline_seconds(
        self, macs: float, bytes: float, n_ops: float = 1, dtype: str = "float32"
    ) -> float:
        """The least time for that work: `max(macs / peak, bytes / bandwidth) + n_ops * dispatch`.

        Roofline after Williams, Waterman, Patterson 2009 (https://doi.org/10.1145/1498765.1498785),
        with the executor's cost per operation added, which nothing hides in a chain of operations.

        Args:
            macs: multiply-accumulates.
            bytes: bytes read and written; also taken as the size of the working set.
            n_ops: operations that the executor runs for it.

        Raises:
            ValueError: if macs > 0 and no peak was measured for `dtype`.
        """
        compute, memory, overhead = self._seconds(macs, bytes, n_ops, dtype)
        return max(compute, memory) + overhead

    def bound(self, macs: float, bytes: float, ops: float = 1, dtype: str = "float32") -> Bound:
        """Which of arithmetic, memory traffic and dispatch takes longest; arguments as above."""
        compute, memory, overhead = self._seconds(macs, bytes, ops, dtype)
        if overhead > max(compute, memory):
            return "overhead"
        return "compute" if compute >= memory else "memory"

    def to_dict(self) -> dict[str, Any]:
        """As JSON types, with a schema version."""
        sets, variable = self.instruction_sets, self.predict_variable_us
        return {
            "schema": SCHEMA,
            "machine": self.machine,
            "tensorflow": self.tensorflow,
            "threads": list(self.threads),
            "matmul_gmacs": {name: m.to_dict() for name, m in self.matmul_gmacs.items()},
            "conv_gmacs": self.conv_gmacs.to_dict(),
            "bandwidth_gb": [[size, m.to_dict()] for size, m in self.bandwidth_gb],
            "dispatch_us": self.dispatch_us.to_dict(),
            "predict_batch_ms": self.predict_batch_ms.to_dict(),
            "predict_call_ms": self.predict_call_ms.to_dict(),
            "kernels": {name: fit.to_dict() for name, fit in self.kernels.items()},
            "warnings": list(self.warnings),
            "onednn": self.onednn,
            "instruction_sets": None if sets is None else list(sets),
            "instruction_limit": self.instruction_limit,
            "predict_gb": None if self.predict_gb is None else self.predict_gb.to_dict(),
            "predict_variable_us": None if variable is None else variable.to_dict(),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> MachineModel:
        """The model written by `to_dict`.

        Raises:
            ValueError: if it was written by another schema version, or is no such model.
        """
        schema = data.get("schema") if isinstance(data, Mapping) else None
        if schema != SCHEMA:
            raise ValueError(f"machine model of schema {schema}, not {SCHEMA}")
        try:
            found = msgspec.convert(data, cls)
        except (msgspec.ValidationError, OverflowError, RecursionError) as error:
            raise ValueError(f"not a machine model: {error}") from error
        fault = found._fault()
        if fault is not None:
            raise ValueError(f"not a machine model: {fault}")
        return found

    def _fault(self) -> str | None:
        """What no measurement can have given; None when there is no such thing."""
        if "float32" not in self.matmul_gmacs:
            return "matmul_gmacs has no float32"
        sizes = [size for size, _ in self.bandwidth_gb]
        if not sizes or sizes[0] <= 0 or any(a >= b for a, b in pairwise(sizes)):
            return "bandwidth_gb must be over ascending sizes"
        rates = [*self.matmul_gmacs.values(), self.conv_gmacs, *(m for _, m in self.bandwidth_gb)]
        rates += [] if self.predict_gb is None else [self.predict_gb]
        if not all(0 < rate.best < math.inf for rate in rates):
            return "a rate is not above 0"
        others = [self.dispatch_us, self.predict_batch_ms, self.predict_call_ms]
        others += [] if self.predict_variable_us is None else [self.predict_variable_us]
        if not all(math.isfinite(value) for m in others for value in (m.best, m.median, m.iqr)):
            return "a time is not finite"
        return None

    def _seconds(
        self, macs: float, bytes: float, n_ops: float, dtype: str
    ) -> tuple[float, float, float]:
        compute = macs / (1e9 * self.peak_gmacs(dtype)) if macs > 0 else 0.0
        memory = bytes / self.bandwidth(bytes) if bytes > 0 else 0.0
        return compute, memory, n_ops * self.dispatch_us.best * 1e-6
