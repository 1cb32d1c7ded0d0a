"""What each batch gives a traced program, which `model.predict` has to hand over."""

from __future__ import annotations

from tftrace.counts.flow import Flow
from tftrace.graph import Program


def data_bytes(flow: Flow) -> int | None:
    """Of what the caller gives the program, None where that has no size (text, ragged rows)."""
    sizes = [flow.ops[name].node.outputs[0].bytes for name in flow.arguments]
    return None if None in sizes else sum(size for size in sizes if size is not None)


def variables(program: Program) -> int:
    """That the program is given, each as a handle."""
    graph = program.functions[program.root]
    outputs = (graph.nodes[name].outputs for name in graph.inputs)
    return sum(specs[0].dtype == "resource" for specs in outputs if specs)
