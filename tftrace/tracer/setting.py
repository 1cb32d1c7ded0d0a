"""What decides, beside the model, which kernels run and how fast: asked of TensorFlow itself."""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass
from pathlib import Path

import tensorflow as tf

from tftrace.tracer.tf_private import onednn_is_on

_FAST = frozenset(
    (
        *("avx", "avx2", "fma", "avx_vnni", "avx512f", "avx512_vnni", "avx512_bf16"),
        *("avx512_fp16", "amx_tile", "amx_int8", "amx_bf16", "amx_fp16"),
        *("asimd", "asimddp", "fphp", "i8mm", "bf16", "sve", "sve2", "sme"),
    )
)
"""Instruction sets that TensorFlow and oneDNN have kernels for, as Linux spells them."""


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


def setting() -> Setting:
    """The setting of this process."""
    onednn = onednn_is_on()
    threading = tf.config.threading
    return Setting(
        cpu=cpu_name(),
        cores=os.cpu_count(),
        instruction_sets=instruction_sets(),
        instruction_limit=os.environ.get("ONEDNN_MAX_CPU_ISA") or None,
        onednn=onednn,
        # oneDNN's allocator registers itself above TensorFlow's own exactly where oneDNN is on
        # (tensorflow/core/common_runtime/mkl_cpu_allocator_factory.cc).
        allocator=None if onednn is None else "mklcpu" if onednn else "cpu",
        tensorflow=str(tf.__version__),
        threads=(
            threading.get_intra_op_parallelism_threads(),
            threading.get_inter_op_parallelism_threads(),
        ),
    )


def cpu_name(info: Path = Path("/proc/cpuinfo")) -> str:
    """The processor's name, as far as the system tells it."""
    return _field(info, "model name") or platform.processor() or platform.machine()


def instruction_sets(info: Path = Path("/proc/cpuinfo")) -> tuple[str, ...] | None:
    """What of the processor's instruction sets kernels are chosen by; None where not told."""
    told = _field(info, "flags") or _field(info, "Features")
    return None if told is None else tuple(sorted(_FAST.intersection(told.split())))


def _field(info: Path, name: str) -> str | None:
    """The value of the first line of that name."""
    if not info.exists():
        return None
    for line in info.read_text().splitlines():
        key, _, value = line.partition(":")
        if key.strip() == name:
            return value.strip()
    return None
