"""What decides, beside the model, which kernels run and how fast."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Setting:
    """Under what kernels run; unknown is None.

    Attributes:
        cpu: name of the processor.
        cores: logical cores.
        instruction_sets: those of the processor that kernels are chosen by, sorted.
        instruction_limit: the set that the environment holds oneDNN to (ONEDNN_MAX_CPU_ISA).
        onednn: whether TensorFlow uses oneDNN's kernels in this process.
        allocator: of the host's memory, ``mklcpu`` or ``cpu``.
        tensorflow: version.
        threads: intra-op and inter-op setting, 0 for TensorFlow's default.
    """

    cpu: str
    cores: int | None
    instruction_sets: tuple[str, ...] | None
    instruction_limit: str | None
    onednn: bool | None
    allocator: str | None
    tensorflow: str
    threads: tuple[int, int]

    @property
    def intra_op_threads(self) -> int:
        """Threads that share the work of a kernel."""
        return self.threads[0] or self.cores or 1

    @property
    def inter_op_threads(self) -> int:
        """Threads that take kernels from a graph."""
        return self.threads[1] or self.cores or 1
