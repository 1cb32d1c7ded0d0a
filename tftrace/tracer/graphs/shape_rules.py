"""What TensorFlow's shape functions could say of an operation's outputs, and do not."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from tftrace.graph import Node


def known_better(node: Node, inputs: Sequence[Any], outputs: list[Any]) -> list[Any]:
    """``outputs`` of an operation of ``node``'s type on ``inputs``, with all that is known."""
    if node.type == "StringSplitV2" and inputs[0].shape.rank == 1:
        # Every string is a row: the first of the two sizes that describe the sparse result.
        rows = inputs[0].shape[0]
        if rows is not None:
            return [*outputs[:2], tf.stack([tf.constant(rows, tf.int64), outputs[2][1]])]
    elif node.type == "RaggedTensorToTensor" and (rows := _ragged_rows(node, inputs)) is not None:
        narrow(outputs[0], tf.TensorShape([rows]).concatenate(outputs[0].shape[1:]))
    elif node.type == "BroadcastGradientArgs":
        return _reduced(inputs) or outputs
    elif node.type == "StridedSlice" and (value := _picked(node, inputs)) is not None:
        return [tf.constant(value, outputs[0].dtype)]
    return outputs


def narrow(tensor: Any, shape: Any) -> None:
    """Tell ``tensor`` its shape, as far as it does not know better."""
    if tensor.shape.is_compatible_with(shape):
        tensor.set_shape(shape)


def _ragged_rows(node: Node, inputs: Sequence[Any]) -> int | None:
    """Rows of a ragged tensor, by what partitions it; null where another size is asked for."""
    wanted = tf.get_static_value(inputs[0], partial=True)
    if wanted is None or wanted.ndim != 1 or wanted[0] != -1:
        return None
    partition = inputs[3]
    if node.attrs["row_partition_types"][0] == "FIRST_DIM_SIZE":
        value = tf.get_static_value(partition)
        return None if value is None else int(value)
    splits = node.attrs["row_partition_types"][0] == "ROW_SPLITS" and partition.shape.rank == 1
    return partition.shape[0] - 1 if splits and partition.shape[0] is not None else None


def _reduced(inputs: Sequence[Any]) -> list[Any] | None:
    """Over which axes the gradients of a broadcast operation's two inputs are summed."""
    shapes = [tf.get_static_value(shape) for shape in inputs]
    if any(shape is None for shape in shapes):
        return None
    if shapes[0].tolist() == shapes[1].tolist():
        return [tf.constant([], inputs[0].dtype), tf.constant([], inputs[0].dtype)]
    rank = max(len(shape) for shape in shapes)
    padded = [[1] * (rank - len(shape)) + [int(size) for size in shape] for shape in shapes]
    both = list(zip(*padded, strict=True))
    # Where both are 1, TensorFlow sums over the axis too.
    axes = ([i for i, sizes in enumerate(both) if sizes[own] == 1] for own in (0, 1))
    return [tf.constant(each, inputs[0].dtype, shape=(len(each),)) for each in axes]


def _picked(node: Node, inputs: Sequence[Any]) -> int | None:
    """Value of ``vector[place]``, known even where other elements of the vector are not."""
    if node.type != "StridedSlice" or node.attrs["shrink_axis_mask"] != 1:
        return None
    begin, vector = tf.get_static_value(inputs[1]), _elements(inputs[0])
    if begin is None or len(begin) != 1 or not -len(vector) <= begin[0] < len(vector):
        return None
    value = vector[int(begin[0])]
    return None if value is None else int(value)


def _elements(vector: Any) -> list[Any]:
    """Elements of a vector, None where unknown; [] where nothing is known."""
    if vector.op.type == "Shape":
        shape = vector.op.inputs[0].shape
        return shape.as_list() if shape.rank else []
    found = tf.get_static_value(vector, partial=True)
    return [] if found is None or vector.shape.rank != 1 else list(found)
