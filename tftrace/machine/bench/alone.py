"""Time of the kernels of a graph, each alone: what need not be guessed from others."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import product
from math import prod
from typing import Any

from tftrace.machine.bench.chains import graph_optimizer_off
from tftrace.machine.bench.timing import Measured, measure_seconds

_SHORT = 2
_LONG_SECONDS = 0.008
"""What the links of a chain take in all, about: as long as a hundred calls of a function."""
_MOST_LINKS = 96
_LEAST_LINKS = 6
_CALL_SECONDS = 0.0005
"""From here on a link takes so much longer than the call around it that any call will do."""
_ALONE_SECONDS = 0.1
"""From here on the short chain is long enough."""
_MOST_BYTES = 4 << 30
_END = "end"
_NAMES_ITS_VARIABLE = "var_name"
"""Of a TemporaryVariable, which a step knows by that name."""
_SEEN_BY_CACHE = 64 << 10
"""Bytes of a weight from which on it matters where it is read from."""
_BEYOND_CACHE = 48 << 20
"""Bytes of copies of a weight that are read in turn, so that none is in a cache still."""


@dataclass(frozen=True)
class Operand:
    """A tensor that a unit reads.

    Attributes:
        name: of its placeholder.
        dtype: name of the element type; of a variable's, where the unit reads its handle.
        shape: full.
        weight: it lies in memory between calls, where nothing read it since the last.
        handle: the unit is given the variable, not its value.
        below: integers are less than this; 1 leaves zeros.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    weight: bool = False
    handle: bool = False
    below: int = 1


@dataclass(frozen=True)
class Unit:
    """Operations that are timed together: a kernel, what becomes one, or a whole loop.

    Attributes:
        names: of the operations, as the graph they are of has them.
        definition: a serialized GraphDef of them, with placeholders for the operands.
        operands: what they read.
        results: names of the operations in ``definition`` that no other of it reads.
        overwrites: which operand the first result takes the place of.
    """

    names: tuple[str, ...]
    definition: bytes
    operands: tuple[Operand, ...]
    results: tuple[str, ...]
    overwrites: int | None = None

    @property
    def digest(self) -> str:
        """Equal for units that do the same."""
        told = repr((self.operands, self.results, self.overwrites)).encode()
        return hashlib.sha256(self.definition + told).hexdigest()[:24]


class NotTimedError(Exception):
    """A unit that cannot be timed alone; the message says why."""


def seconds_alone(unit: Unit, lanes: int = 1) -> Measured:
    """Seconds of one run of ``unit`` inside a graph that has nothing else, dispatch included.

    A long chain less a short one, each link behind the one before it, on data that is made up:
    weights are read from memory, the rest is where the link before it left it.

    Args:
        lanes: chains beside one another; the seconds are those in which a link of each ends.

    Raises:
        NotTimedError: what it computes depends on the data, its operands take over 4 GiB, or
            TensorFlow does not take it apart from its graph.
    """
    import tensorflow as tf

    sizes = [prod(operand.shape) * tf.as_dtype(operand.dtype).size for operand in unit.operands]
    if sum(sizes) > _MOST_BYTES:
        raise NotTimedError(f"its operands take {sum(sizes) / 2**30:.1f} GiB")
    with graph_optimizer_off():
        one = [_copies(operand, i, 1) for i, operand in enumerate(unit.operands)]
        short = _chain(unit, _SHORT, one, lanes)
        link = measure_seconds(short, repeats=5, at_least=0.0, budget=0.05).best / _SHORT
        links = max(_LEAST_LINKS, min(_MOST_LINKS, round(_LONG_SECONDS / max(link, 1e-7))))
        links = links if link < _ALONE_SECONDS else _SHORT
        given = [_copies(operand, i, links) for i, operand in enumerate(unit.operands)]
        long = _chain(unit, links, given, lanes)
        took = measure_seconds(long, repeats=9, at_least=0.0, budget=0.08)
        if link > _CALL_SECONDS:
            call = _seconds_of_a_call()
            return took.map(lambda seconds: max(seconds - call, 0.2 * seconds) / links)
        if any(len(copies) > 1 for copies in given):
            short = _chain(unit, _SHORT, given, lanes)
        common = measure_seconds(short, repeats=15, at_least=0.0, budget=0.03)
    return took.map(lambda seconds: max(seconds - common.median, 0.2 * seconds) / (links - _SHORT))


@cache
def _seconds_of_a_call() -> float:
    """Of a function that does next to nothing, as long as this process lives."""
    import tensorflow as tf

    with graph_optimizer_off():
        function = tf.function(lambda x: x + 1.0).get_concrete_function(tf.constant(0.0))
        return measure_seconds(lambda: function(tf.constant(0.0)), repeats=15).median


def _chain(
    unit: Unit, links: int, made: Sequence[Sequence[Any]], lanes: int
) -> Callable[[], object]:
    """A function of so many runs of ``unit`` one after the other, given copies of its operands.

    All copies are given to each chain: a function pays for every argument.
    """
    import tensorflow as tf

    definition, placeholders = _linked(unit, links, [len(copies) for copies in made], lanes)
    given = [
        copy.handle if isinstance(copy, tf.Variable) else copy for copies in made for copy in copies
    ]

    def run(*arguments: Any) -> Any:
        inputs = dict(zip(placeholders, arguments, strict=True))
        try:
            tf.import_graph_def(definition, input_map=inputs, name="")
        except ValueError as error:
            raise NotTimedError(str(error)) from error
        graph = tf.compat.v1.get_default_graph()
        if not definition.library.function:
            for name in unit.results:
                _check_sizes(graph.get_operation_by_name(f"{_link(0, 0)}/{name}"))
        return graph.get_tensor_by_name(f"{_END}:0")

    specs = [tf.TensorSpec(tensor.shape, tensor.dtype) for tensor in given]
    function = tf.compat.v1.wrap_function(run, specs)
    # A handle does not keep its variable.
    return lambda kept=made: function(*given)  # type: ignore[misc]


def _link(lane: int, link: int) -> str:
    """What the names of a link's operations begin with."""
    return f"{lane}.{link}"


def _linked(unit: Unit, links: int, copies: Sequence[int], lanes: int = 1) -> tuple[Any, list[str]]:
    """The graph of the chains, and the names of its placeholders, copy by copy."""
    import tensorflow as tf
    from tensorflow.core.framework.graph_pb2 import GraphDef

    one = GraphDef.FromString(unit.definition)
    functions = [function.signature.name for function in one.library.function]
    rename_functions(one, {name: f"{unit.digest}_{links}_{lanes}_{name}" for name in functions})
    numbers = {operand.name: i for i, operand in enumerate(unit.operands)}
    chain = GraphDef(library=one.library, versions=one.versions)
    placeholders = []
    for node in one.node:
        for copy in range(copies[numbers[node.name]] if node.name in numbers else 0):
            added = chain.node.add()
            added.CopyFrom(node)
            added.name = f"{node.name}/{copy}"
            placeholders.append(added.name)
    order = {name: i for i, name in enumerate(numbers)}
    placeholders.sort(key=lambda name: order[name.rpartition("/")[0]])
    for lane, link in product(range(lanes), range(links)):
        here, before = _link(lane, link), _link(lane, link - 1)
        for node in one.node:
            if node.name in numbers:
                continue
            added = chain.node.add()
            added.CopyFrom(node)
            added.name = f"{here}/{node.name}"
            if _NAMES_ITS_VARIABLE in node.attr:
                added.attr[_NAMES_ITS_VARIABLE].s = here.encode() + node.attr[_NAMES_ITS_VARIABLE].s
            del added.input[:]
            for source in node.input:
                name = source.partition(":")[0]
                if source.startswith("^"):
                    added.input.append(f"^{here}/{source[1:]}")
                elif name not in numbers:
                    added.input.append(f"{here}/{source}")
                elif link and numbers[name] == unit.overwrites:
                    added.input.append(f"{before}/{unit.results[0]}")
                else:
                    copy = (link * lanes + lane) % copies[numbers[name]]
                    added.input.append(f"{name}/{copy}")
            if link and node.op != "Const":
                added.input.extend(f"^{before}/{name}" for name in unit.results)
    end = chain.node.add(name=_END, op="Const")
    for lane in range(lanes):
        end.input.extend(f"^{_link(lane, links - 1)}/{name}" for name in unit.results)
    end.attr["dtype"].type = tf.float32.as_datatype_enum
    end.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(0.0))
    return chain, placeholders


def rename_functions(definition: Any, names: Mapping[str, str]) -> None:
    """Call the functions in a GraphDef's library otherwise: a process knows each name once."""
    library = definition.library.function
    for function in library:
        function.signature.name = names[function.signature.name]
    for node in [*definition.node, *(node for function in library for node in function.node_def)]:
        for value in node.attr.values():
            called = [*([value.func] if value.HasField("func") else ()), *value.list.func]
            for function in called:
                function.name = names.get(function.name, function.name)


def _check_sizes(operation: Any) -> None:
    """What a result takes has to be known before it runs."""
    for output in operation.outputs:
        if output.dtype.name not in ("variant", "resource") and not output.shape.is_fully_defined():
            raise NotTimedError(f"how large {operation.type}'s result is depends on the data")


def _copies(operand: Operand, number: int, links: int) -> list[Any]:
    """As many as that many links read in turn; a variable where its handle is asked for.

    No more: a call pays for each, whether a link reads it or not.
    """
    import numpy as np
    import tensorflow as tf

    kind = tf.as_dtype(operand.dtype)
    if operand.handle:
        return [tf.Variable(tf.zeros(operand.shape, kind))]
    first = tf.constant(_values(operand, kind, np.random.default_rng(number)))
    size = first.shape.num_elements() * kind.size
    rotates = operand.weight and size >= _SEEN_BY_CACHE and kind.is_floating
    copies = max(1, min(links, _BEYOND_CACHE // size)) if rotates else 1
    return [first, *(first + tf.zeros((), kind) for _ in range(copies - 1))]


def _values(operand: Operand, kind: Any, random: Any) -> Any:
    """As a layer's: normal, of either sign; weights that keep that size through a chain."""
    if kind.is_bool:
        return random.random(operand.shape) < 0.5
    if kind.is_integer:
        return random.integers(0, operand.below, operand.shape).astype(kind.as_numpy_dtype)
    if operand.weight:
        return random.choice([-1.0, 1.0], operand.shape).astype(kind.as_numpy_dtype)
    return random.standard_normal(operand.shape).astype(kind.as_numpy_dtype)
