"""Which operations do the same to the same inputs."""

from __future__ import annotations

from collections.abc import Iterable

from tftrace.graph.flatten import FlatOp


def forms_of(ops: Iterable[FlatOp]) -> list[int]:
    """Numbers that are equal where attributes, the outputs read and a constant's value are.

    A constant too large for its value to be known is equal to nothing.
    """
    numbers: dict[str, int] = {}
    forms = []
    for op in ops:
        node = op.node
        form = repr((sorted(node.attrs.items()), [edge.output for edge in op.inputs]))
        if node.type == "Const":
            form += op.key if node.value is None else repr(node.value)
        forms.append(numbers.setdefault(form, len(numbers)))
    return forms
