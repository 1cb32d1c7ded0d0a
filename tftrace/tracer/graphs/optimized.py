"""The kernels that a traced graph becomes, without running it."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import count
from typing import Any

import tensorflow as tf

from tftrace.graph import Program
from tftrace.machine.bench.alone import rename_functions
from tftrace.tracer.graphs.programs import program_of
from tftrace.tracer.graphs.recorder import Recording
from tftrace.tracer.tf_private import optimized_graph

_NUMBERS = count()
_HIDDEN = "of the graph as traced: this TensorFlow hides its optimizer"


@dataclass(frozen=True)
class Optimized:
    """A graph as TensorFlow's optimizer leaves it.

    Attributes:
        definition: GraphDef.
        program: the same as plain data, with all shapes that follow; no operation has an owner.
    """

    definition: Any
    program: Program


def kernels_of(graph: Any) -> tuple[Optimized | None, str | None]:
    """The FuncGraph ``graph`` as TensorFlow's optimizer leaves it.

    An operation that is left has the name it had, behind that of the calls that were inlined.

    Returns: the kernels, or None and the reason: TensorFlow hides its optimizer, or that refuses.
    """
    try:
        definition = optimized_graph(graph)
    except tf.errors.OpError as error:
        return None, f"of the graph as traced: TensorFlow does not optimize it ({error.message})"
    if definition is None:
        return None, _HIDDEN
    # A process knows each function by one definition, and these are no longer as they were traced.
    number = next(_NUMBERS)
    functions = [function.signature.name for function in definition.library.function]
    rename_functions(definition, {name: f"{name}_optimized_{number}" for name in functions})
    made = tf.__internal__.FuncGraph("kernels")
    with made.as_default():
        tf.import_graph_def(definition, name="")
    kept = {op.name for op in made.get_operations() if op.type == "Placeholder"}
    for given in graph.inputs:
        if given.op.name in kept:
            made.inputs.append(made.get_tensor_by_name(given.name))
    made.outputs = [made.get_tensor_by_name(output.name) for output in graph.outputs]
    made.control_outputs = [made.get_operation_by_name(op.name) for op in graph.control_outputs]
    return Optimized(definition, program_of(made, Recording(None))), None
