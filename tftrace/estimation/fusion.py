"""Which operations of a traced graph run as one kernel on a CPU, without and with oneDNN."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from tftrace.estimation.kernels import FREE, LIKE
from tftrace.graph.fusions import gate_kernel, takes_activation, takes_bias
from tftrace.graph.kernel_types import plain_type
from tftrace.machine.bench.shapes import MMAP_BYTES
from tftrace.machine.kernels import KernelWork

_ELEMENT_WISE = frozenset({"AddV2", "Mul", "Relu", "Relu6", "Elu", "Sigmoid", "Tanh", "Erf"})


def fuse_kernels(
    kernels: Sequence[KernelWork], reads: Mapping[str, Sequence[str]], onednn: bool
) -> list[KernelWork]:
    """Turn the operations of a traced graph into the kernels that TensorFlow would run on a CPU.

    A bias, and then an activation of one operation, is applied by the product that makes its input
    where that takes it in (see `tftrace.graph.fusions`) and nothing else reads it. The fused kernel
    costs what the product does: its output is in cache when the rest is applied
    (tensorflow/core/grappler/optimizers/remapper.cc). An activation that multiplies its input by a
    curve of it (swish, mish, GELU) is several operations; oneDNN takes in some, and has a kernel
    of its own for others (tensorflow/core/common_runtime/mkl_layout_pass.cc).

    An element-wise kernel writes over an input that nothing else reads. Every other output needs
    memory, and `fresh` tells where malloc gets it from the operating system: glibc keeps what is
    smaller than the largest block freed so far, of those up to 32 MiB.

    Args:
        kernels: one per graph operation before optimization, each after those it reads.
        reads: for each operation's name, the names of those whose results it reads, constants
            left out.
        onednn: whether oneDNN runs them, whose products take in more.

    Returns:
        The kernels that run; a fused one bears the name of its last member, as TensorFlow has it.
    """
    readers = Counter(source for sources in reads.values() for source in sources)
    running: dict[str, KernelWork] = {}
    taken: dict[str, int] = {}
    for work in kernels:
        gate = _gate(work, reads, readers, running) if onednn else None
        if gate is not None:
            work = _joined(gate, work, running, taken, readers)
            if work.op_type != "Mul":
                # What was read twice is read once, by one kernel.
                reads, readers[gate.origin] = (
                    {**reads, work.name: [gate.origin]},
                    readers[gate.origin] - 1,
                )
        elif (source := _first(work, reads, running)) is not None and readers[source] == 1:
            product = running[source]
            if _takes(product, work, taken.get(source, 0), onednn):
                del running[source]
                taken[work.name] = taken.get(source, 0) + 1
                work = replace(product, name=work.name, flops=product.flops + work.flops)
        running[work.name] = work
    largest = max((w.bytes_out for w in running.values() if w.bytes_out <= MMAP_BYTES), default=0)
    return [
        replace(work, fresh=work.bytes_out >= largest and not _overwrites(work, reads, readers))
        for work in running.values()
    ]


@dataclass(frozen=True)
class _Gate:
    """An activation that multiplies ``origin``, or a chain of it, by another chain of it."""

    origin: str
    members: tuple[str, ...]
    types: frozenset[str]


def _gate(
    work: KernelWork,
    reads: Mapping[str, Sequence[str]],
    readers: Mapping[str, int],
    running: Mapping[str, KernelWork],
) -> _Gate | None:
    """The activation that a product of two tensors ends; None where it ends none."""
    factors = reads.get(work.name, ())
    if work.op_type != "Mul" or len(factors) != 2:
        return None
    origins, members = [], []
    for at in factors:
        while at in running and readers[at] == 1 and len(reads.get(at, ())) == 1:
            members.append(at)
            (at,) = reads[at]
        origins.append(at)
    if origins[0] != origins[1] or not members:
        return None
    types = frozenset(("Mul", *(running[name].op_type for name in members)))
    return _Gate(origins[0], tuple(members), types)


def _joined(
    gate: _Gate,
    last: KernelWork,
    running: dict[str, KernelWork],
    taken: dict[str, int],
    readers: Mapping[str, int],
) -> KernelWork:
    """What runs in place of the activation's last operation, the others taken out of ``running``.

    That is the product before it, a kernel of its own, or the operation as it is.
    """
    product = running.get(gate.origin)
    inside = [running[name] for name in gate.members]
    flops = last.flops + sum(work.flops for work in inside)
    if (
        product is not None
        and readers[gate.origin] == 2
        and taken.get(gate.origin) == 1
        and takes_activation(product.op_type, gate.types, onednn=True)
    ):
        for name in (gate.origin, *gate.members):
            del running[name]
        taken[last.name] = 2
        return replace(product, name=last.name, flops=product.flops + flops)
    kernel = gate_kernel(gate.types, last.dtype)
    if kernel is None:
        return last
    for name in gate.members:
        del running[name]
    transcendental = last.transcendental + sum(work.transcendental for work in inside)
    return replace(
        last, op_type=kernel, flops=flops, transcendental=transcendental, bytes_in=last.bytes_out
    )


def _first(
    work: KernelWork, reads: Mapping[str, Sequence[str]], running: Mapping[str, KernelWork]
) -> str | None:
    """The first of the kernels that ``work`` reads."""
    return next((name for name in reads.get(work.name, ()) if name in running), None)


def _takes(product: KernelWork, work: KernelWork, before: int, onednn: bool) -> bool:
    """Whether a product that took in so many operations takes in one more."""
    # A convolution in groups is compiled by XLA, with nothing of what follows it.
    if product.op_type == "Conv2D" and product.groups > 1:
        return False
    if before == 0:
        return work.op_type == "BiasAdd" and takes_bias(product.op_type, onednn)
    return before == 1 and takes_activation(product.op_type, {work.op_type}, onednn)


def _overwrites(
    work: KernelWork, reads: Mapping[str, Sequence[str]], readers: Mapping[str, int]
) -> bool:
    if work.op_type in FREE:
        return True
    plain = plain_type(work.op_type)
    element_wise = LIKE.get(plain, plain).split(",")[0] in _ELEMENT_WISE
    return element_wise and any(readers[source] == 1 for source in reads.get(work.name, ()))
