"""The graph of a training step, traced on shapes alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from tftrace.errors import TftraceError
from tftrace.tracer.failures import cause_of
from tftrace.tracer.graphs.programs import input_specs, one_computation, settle
from tftrace.tracer.graphs.recorder import Recording
from tftrace.tracer.graphs.watching import record_calls
from tftrace.tracer.keras_model import is_legacy, jit_compiled


def batch_specs(model: Any, input_shapes: Sequence[Sequence[int | None]] | None) -> Any:
    """TensorSpecs of a batch of inputs and labels, as a step of ``fit`` takes it.

    A label has the shape of the output that it goes with, or, for a loss on class numbers (Keras
    calls those sparse), that without the last axis.

    Args:
        input_shapes: as in `tftrace.tracer.graphs.programs.trace_call`.

    Raises:
        ValueError: as there.
    """
    inputs = input_specs(model, input_shapes)
    called = tf.function(lambda x: model(x, training=False)).get_concrete_function(inputs)
    outputs = called.structured_outputs
    losses = _by_output(model, outputs)
    labels = [_label(one, of) for one, of in zip(tf.nest.flatten(outputs), losses, strict=True)]
    return inputs, tf.nest.pack_sequence_as(outputs, labels)


def trace_training(model: Any, batch: Any) -> tuple[Any, Recording]:
    """Trace what ``fit`` runs on one batch, without running it: a FuncGraph, and what was seen.

    The optimizer's variables are made, if they are not yet; nothing is trained.

    Args:
        model: of Keras 3, compiled.
        batch: TensorSpecs, as `batch_specs` has them.

    Raises:
        TftraceError: the model is not compiled or of Keras 2, or its step takes no such labels.
    """
    if is_legacy(model):
        raise TftraceError("a training step is traced of models of Keras 3 only")
    if not model.compiled:
        raise TftraceError("the model is not compiled: say by which loss, --loss mse")
    model.optimizer.build(model.trainable_variables)
    jit = jit_compiled(model)
    try:
        with record_calls(model, "train_step") as recording:
            step = one_computation(lambda data: model.train_step(data), jit)
            concrete = tf.function(lambda data: step(data), autograph=False).get_concrete_function(
                batch
            )
    except Exception as error:
        # A loss, a metric or a step of the model's own raises what it likes.
        shapes = ", ".join(str(spec.shape) for spec in tf.nest.flatten(batch[1]))
        raise TftraceError(
            f"the step cannot be traced on labels of shape {shapes}: {cause_of(error)}"
        ) from error
    settle(recording, [concrete.graph])
    return concrete.graph, recording


def _by_output(model: Any, outputs: Any) -> list[Any]:
    """The loss of each output, in the order of the flat outputs; None where that is not told."""
    loss, names = getattr(model, "loss", None), getattr(model, "output_names", ())
    flat = tf.nest.flatten(outputs)
    if isinstance(loss, dict) and not isinstance(outputs, dict):
        told = [loss.get(name) for name in names]
    elif isinstance(loss, dict | list | tuple):
        told = tf.nest.flatten(loss)
    else:
        told = [loss] * len(flat)
    return told if len(told) == len(flat) else [None] * len(flat)


def _label(output: Any, loss: Any) -> tf.TensorSpec:
    name = loss if isinstance(loss, str) else getattr(loss, "name", getattr(loss, "__name__", ""))
    if "sparse" in name.lower():
        return tf.TensorSpec(output.shape[:-1], tf.int32)
    return tf.TensorSpec(output.shape, tf.float32)
