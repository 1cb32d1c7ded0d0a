"""One formula per operation type, in a registry that users extend."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from tftrace.counts.traffic import moved_bytes
from tftrace.counts.work import Work
from tftrace.graph import FlatOp, TensorSpec


class Uncountable(ValueError):
    """Raised by a formula that cannot know; its message becomes the reason beside the null."""


@dataclass(frozen=True, slots=True)
class OpRecord:
    """One operation as a formula sees it: no TensorFlow object, no graph.

    ``inputs`` and ``outputs`` are dtypes and static shapes in the operation's order, ``attrs``
    its attributes as plain values, ``input_values`` the static values of inputs such as a
    reduction's axes (None where not static).
    """

    type: str
    inputs: tuple[TensorSpec, ...] = ()
    outputs: tuple[TensorSpec, ...] = ()
    attrs: Mapping[str, Any] = field(default_factory=dict)
    input_values: tuple[object | None, ...] = ()

    def in_size(self, index: int = 0) -> int:
        """Elements of input ``index``. Raises Uncountable when its shape is not static."""
        return _size(self.inputs, index, "input")

    def out_size(self, index: int = 0) -> int:
        """Elements of output ``index``. Raises Uncountable when its shape is not static."""
        return _size(self.outputs, index, "output")

    def in_shape(self, index: int = 0) -> tuple[int, ...]:
        """Shape of input ``index``. Raises Uncountable when it is not static."""
        return _shape(self.inputs, index, "input")

    def out_shape(self, index: int = 0) -> tuple[int, ...]:
        """Shape of output ``index``. Raises Uncountable when it is not static."""
        return _shape(self.outputs, index, "output")

    def value(self, index: int) -> Any:
        """Static value of input ``index``. Raises Uncountable when it is not known."""
        found = self.input_values[index] if index < len(self.input_values) else None
        if found is None:
            raise Uncountable(f"input {index} of {self.type} is not static")
        return found


Formula = Callable[[OpRecord], Work]

COMPLEX = ("complex64", "complex128")

_FORMULAS: dict[str, Formula] = {}
_NEEDED: dict[str, Formula] = {}


def register_count(*op_types: str) -> Callable[[Formula], Formula]:
    """Decorator: the function counts operations of these types from an :class:`OpRecord`.

    A later registration replaces an earlier one, built-in formulas included::

        @tftrace.register_count("MyOp")
        def my_op(record):
            return Work.contraction(record.out_size() * 27)

    One string may name several types, with spaces between. A formula may leave ``bytes`` out
    (inputs and outputs once) and may raise Uncountable.
    """
    if not op_types or not all(isinstance(name, str) for name in op_types):
        raise TypeError('register_count needs operation types: @register_count("MyOp")')

    def register(formula: Formula) -> Formula:
        _FORMULAS.update(dict.fromkeys(" ".join(op_types).split(), formula))
        return formula

    return register


def register_needed(*op_types: str) -> Callable[[Formula], Formula]:
    """Decorator: what the mathematics needs of these types, where a kernel does more.

    Rare: most of what is executed and not needed is operations of its own.
    """

    def register(formula: Formula) -> Formula:
        _NEEDED.update(dict.fromkeys(" ".join(op_types).split(), formula))
        return formula

    return register


def for_real_numbers(but: Collection[str]) -> None:
    """Let every formula registered so far hold for real numbers alone, those of ``but`` excepted.

    Complex arithmetic takes several real operations for one, how many is the library's choice.
    What moves numbers and does no arithmetic holds for complex ones too.
    """
    for op_type, formula in _FORMULAS.items():
        if op_type not in but:
            _FORMULAS[op_type] = partial(_real, formula)


def _real(formula: Formula, record: OpRecord) -> Work:
    work = formula(record)
    complex_numbers = any(s.dtype in COMPLEX for s in (*record.inputs, *record.outputs))
    if complex_numbers and (work.mults, work.flops, work.transcendentals) != (0, 0, 0):
        raise Uncountable(f"{record.type} of complex numbers is not counted")
    return work


def registered(op_type: str) -> bool:
    """Whether operations of this type have a formula."""
    return op_type in _FORMULAS


def count_op(record: OpRecord) -> Work:
    """Work of one execution of ``record``; fields are None, with a reason, where unknown."""
    formula = _FORMULAS.get(record.type)
    if formula is None:
        return Work.unknown(f"no formula for operation type {record.type}")
    return _apply(formula, record)


def needed_of(record: OpRecord, work: Work) -> Work:
    """What the mathematics needs of ``work``, that of ``record``: as a rule all of it."""
    formula = _NEEDED.get(record.type)
    return work if formula is None else _apply(formula, record)


def _apply(formula: Formula, record: OpRecord) -> Work:
    try:
        work = formula(record)
    except Uncountable as error:
        return Work.unknown(str(error))
    if work.bytes is not None or work.reason is not None:
        return work
    moved = moved_bytes(record.type, record.inputs, record.outputs)
    if moved is None:
        return replace(work, reason=f"{record.type}: the size of a tensor is not known")
    return work.with_bytes(moved)


def record_of(op: FlatOp) -> OpRecord:
    """The record of an operation of an inlined program."""
    return OpRecord(op.node.type, op.sources, op.node.outputs, op.node.attrs, op.input_values)


def _size(specs: tuple[TensorSpec, ...], index: int, side: str) -> int:
    found = specs[index].size if index < len(specs) else None
    if found is None:
        raise Uncountable(f"shape of {side} {index} is not known")
    return found


def _shape(specs: tuple[TensorSpec, ...], index: int, side: str) -> tuple[int, ...]:
    shape = specs[index].shape if index < len(specs) else None
    if shape is None or any(d is None for d in shape):
        raise Uncountable(f"shape of {side} {index} is not known")
    return tuple(d for d in shape if d is not None)
