"""Owners for what a SavedModel computes: it has no Keras layers, but names with scopes.

Its graphs were written as they stand, so unlike a model that is traced again (whose scopes
TensorFlow numbers anew) their names are those that their author's code gave.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from tftrace.graph import Graph, Node, Program
from tftrace.graph.types import CALLS
from tftrace.runs.names import NAME_SCOPE
from tftrace.tracer.graphs.recorder import Recording

_LAYER = "SavedModel"  # the class in `tftrace.tracer.loading.saved_model`
_NO_PLACE = frozenset(("Const", "NoOp", "Placeholder", "_Arg", "_Retval"))


def with_scopes(program: Program, recording: Recording) -> Program:
    """The program with owners for the operations inside a SavedModel that was loaded as a model.

    Each scope that holds an operation becomes a call site below the layer that runs the SavedModel.
    What a loop or a choice runs belongs to the scope of that loop.
    """
    layers = {path for path, site in recording.sites.items() if site.type == _LAYER}
    if not layers:
        return program
    functions = dict(program.functions)
    for graph in program.functions.values():
        for callee, owner in _called_by(graph, functions):
            if owner in layers:
                _enter(functions, callee, owner, recording, set())
    return replace(program, functions=functions)


def _called_by(graph: Graph, functions: Mapping[str, Graph]) -> Iterator[tuple[str, str]]:
    """The functions that the graph calls, and the owner of each call."""
    for node in graph.nodes.values():
        callee = str(node.attrs.get("f"))
        if node.type in CALLS and node.owner is not None and callee in functions:
            yield callee, node.owner


def _enter(
    functions: dict[str, Graph], name: str, owner: str, recording: Recording, inside: set[str]
) -> None:
    """Own what the function ``name`` computes for ``owner``, and what it calls for that."""
    if name in inside:
        return
    graph = functions[name]
    nodes = {}
    for node in graph.nodes.values():
        path = owner
        if node.type not in _NO_PLACE:
            for scope in scope_of(node, graph.nodes):
                path = recording.add_below(path, scope, NAME_SCOPE)
        nodes[node.name] = replace(node, owner=path)
    functions[name] = replace(graph, nodes=nodes)
    for callee, path in _called_by(functions[name], functions):
        _enter(functions, callee, path, recording, inside | {name})


def scope_of(node: Node, nodes: Mapping[str, Node]) -> tuple[str, ...]:
    """The scopes that the operation stands in, outermost first.

    ``dense/MatMul/ReadVariableOp`` stands in ``dense``: ``dense/MatMul`` is an operation.
    """
    scope = node.name.rpartition("/")[0]
    while scope in nodes:
        scope = scope.rpartition("/")[0]
    return tuple(scope.split("/")) if scope else ()
