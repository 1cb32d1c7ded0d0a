"""The setting of this process, asked of TensorFlow and the system, not of variables."""

from __future__ import annotations

import os
import platform
from pathlib import Path

import tensorflow as tf

from tftrace.machine.setting import Setting
from tftrace.tracer.tf_private import onednn_is_on

_FAST = frozenset(
    (
        *("avx", "avx2", "fma", "avx_vnni", "avx512f", "avx512_vnni", "avx512_bf16"),
        *("avx512_fp16", "amx_tile", "amx_int8", "amx_bf16", "amx_fp16"),
        *("asimd", "asimddp", "fphp", "i8mm", "bf16", "sve", "sve2", "sme"),
    )
)
"""Instruction sets that TensorFlow and oneDNN have kernels for, as Linux spells them."""


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
