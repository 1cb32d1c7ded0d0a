"""Shapes of what tensor lists hold; TensorFlow's own inference forgets what is put into them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import tensorflow as tf


@dataclass(frozen=True)
class ListShape:
    """A tensor list: how many places it has, and the shape that all its tensors share.

    ``length`` is None where unknown; ``element`` is None as long as nothing is in the list.
    """

    length: int | None
    element: Any = None

    def stacked(self) -> Any:
        """The shape of all its tensors in one, or None as long as nothing is in the list."""
        if self.element is None:
            return None
        return tf.TensorShape([self.length]).concatenate(self.element)

    def join(self, other: ListShape) -> ListShape:
        """What holds for either of two lists."""
        length = self.length if self.length == other.length else None
        return ListShape(length, _joined(self.element, other.element))


def made_list(op: Any, inputs: Sequence[Any], held: Sequence[ListShape | None]) -> ListShape | None:
    """The list that ``op`` gives, None where it gives none or one that is not known.

    ``inputs`` are its input tensors, ``held`` what is known of those that are lists.
    """
    match op.type:
        case "TensorListReserve":
            return ListShape(_number(inputs[1]))
        case "EmptyTensorList":
            return ListShape(0)
        case "TensorListFromTensor" if inputs[0].shape.rank:
            return ListShape(inputs[0].shape[0], inputs[0].shape[1:])
        case "TensorListScatterV2" if inputs[0].shape.rank:
            return ListShape(_number(inputs[3]), inputs[0].shape[1:])
    first = held[0] if held else None
    if first is None:
        return None
    match op.type:
        case "TensorListSetItem":
            grows = op.get_attr("resize_if_index_out_of_bounds")
            length = None if grows else first.length
            return ListShape(length, _joined(first.element, inputs[2].shape))
        case "TensorListPushBack":
            length = None if first.length is None else first.length + 1
            return ListShape(length, _joined(first.element, inputs[1].shape))
        case "TensorListPopBack":
            return ListShape(first.length and first.length - 1, first.element)
        case "TensorListResize":
            return ListShape(_number(inputs[1]), first.element)
        case "TensorListScatterIntoExistingList" if inputs[1].shape.rank:
            return ListShape(None, _joined(first.element, inputs[1].shape[1:]))
        case "Identity":
            return first
    return None


def read_shape(op: Any, inputs: Sequence[Any], held: Sequence[ListShape | None]) -> Any:
    """Shape of the tensor that ``op`` reads from a list, None where it reads none."""
    first = held[0] if held else None
    if first is None or first.element is None:
        return None
    match op.type:
        case "TensorListGetItem" | "TensorListPopBack":
            return first.element
        case "TensorListStack":
            return first.stacked()
        case "TensorListGather" if inputs[1].shape.rank == 1:
            return ListShape(inputs[1].shape[0], first.element).stacked()
    return None


def _joined(one: Any, other: Any) -> Any:
    if one is None or other is None:
        return other if one is None else one
    return one.most_specific_compatible_shape(other)


def _number(tensor: Any) -> int | None:
    """Value of a whole number where it is static; a negative one stands for any."""
    value = tf.get_static_value(tensor)
    return None if value is None or value < 0 else int(value)
