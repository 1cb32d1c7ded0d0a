"""The buffers of tensor lists, in which loops gather what their turns make.

A list refers to its tensors (tensorflow/core/kernels/list_kernels.h); which of them an index means
is not followed, they are all alike.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from tftrace.counts.buffers import Kernel
from tftrace.counts.heap import Buffer, Heap

Outputs = list[Buffer]
Rule = Callable[[Heap, Kernel, list[Buffer], str], Outputs]


def _reserved(heap: Heap, kernel: Kernel, inputs: list[Buffer], key: str) -> Outputs:
    """A list of so many tensors, none of which is there yet."""
    most = kernel.values[1] if kernel.node.type == "TensorListReserve" else None
    return [Buffer(0, key, most=most if isinstance(most, int) else None)]


def _of_tensor(heap: Heap, kernel: Kernel, inputs: list[Buffer], key: str) -> Outputs:
    """Each row becomes a tensor: part of the whole where it is aligned, else a copy."""
    spec = kernel.sources[0]
    rows = spec.shape[0] if spec.shape else None
    if not rows or spec.bytes is None:
        return [Buffer(0, key)]
    parts = [heap.new(spec.bytes // rows, key) for _ in range(rows)]
    return [Buffer(0, key, parts=parts, most=rows)]


def _with(heap: Heap, kernel: Kernel, inputs: list[Buffer], key: str) -> Outputs:
    """The list with one more tensor, or with another in the place of one."""
    old, item = inputs[0], inputs[2 if kernel.node.type == "TensorListSetItem" else 1]
    made = _own(old, key)
    made.parts.append(item.taken())
    if made.most is not None and len(made.parts) > made.most:
        heap.let_go([made.parts.pop(0)])
    return [made]


def _item(heap: Heap, kernel: Kernel, inputs: list[Buffer], key: str) -> Outputs:
    parts = inputs[0].parts
    if parts:
        return [parts[-1].taken()]
    return [heap.new(kernel.node.outputs[0].bytes or 0, key)]


def _popped(heap: Heap, kernel: Kernel, inputs: list[Buffer], key: str) -> Outputs:
    made = _own(inputs[0], key)
    if made.parts:
        return [made, made.parts.pop()]
    return [made, heap.new(kernel.node.outputs[1].bytes or 0, key)]


def _own(old: Buffer, key: str) -> Buffer:
    """The list itself where nobody else needs it, else another of the same tensors."""
    if old.is_free:
        return old.taken()
    return Buffer(0, key, parts=[part.taken() for part in old.parts], most=old.most)


LISTS: Mapping[str, Rule] = {
    "EmptyTensorList": _reserved,
    "TensorListFromTensor": _of_tensor,
    "TensorListGetItem": _item,
    "TensorListPopBack": _popped,
    "TensorListPushBack": _with,
    "TensorListReserve": _reserved,
    "TensorListSetItem": _with,
}
"""By type: the outputs of a kernel that keeps its inputs."""
