"""The most memory that a program holds at once, followed buffer by buffer without running it.

Kernels run one after the other: as TensorFlow's executor takes them where it has one thread
(`_Order`), about so where it has several (`_SideBySide`). What becomes ready together comes in the
order of the graph, which may be another when that runs. A kernel gets its outputs before
it runs and lets go of its inputs behind it. Loops turn as often as they do, or until
a turn holds what the one before it held; of branches the one counts that holds the most.
"""

from __future__ import annotations

from collections import Counter, defaultdict, deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from tftrace.counts.buffers import HANDLES, Kernel, overwritten, shared, temporary_bytes
from tftrace.counts.heap import Buffer, Heap
from tftrace.counts.list_buffers import LISTS
from tftrace.counts.traffic import VIEWS
from tftrace.graph import Edge, Graph, Node, Program, TensorSpec
from tftrace.graph.flatten import live_names
from tftrace.graph.kernel_types import plain_type
from tftrace.graph.trips import trip_count
from tftrace.graph.types import BRANCHES, CALLS, LOOPS

MOST_KERNELS = 2_000_000
"""Where following a program is given up."""
_SETTLED = 8
"""Turns within which a loop that may turn any number of times must stop to hold more."""

_CHEAP = VIEWS | {
    "Const",
    "IdentityN",
    "NoOp",
    "Placeholder",
    "ReadVariableOp",
    "Shape",
    "VarHandleOp",
}
"""What runs at once (`OpKernel::IsExpensive`); the executor learns others by and by."""


@dataclass(frozen=True)
class Peak:
    """The most bytes that one call of a program holds at once, beside what it is given.

    Attributes:
        bytes: None where it is not known; ``reason`` then says why.
        held: bytes at that moment by the operation that had asked for them, behind the names of
            the calls and loops it is in; the sum is ``bytes``.
        constants: bytes of the program's constants, which it keeps from call to call.
    """

    bytes: int | None
    held: dict[str, int] = field(default_factory=dict)
    constants: int = 0
    reason: str | None = None


class UnknownError(Exception):
    """The memory is not known; the message says why."""


def peak_of(program: Program, onednn: bool, inter_op: int = 1, intra_op: int = 1) -> Peak:
    """Follow one call of ``program``, whose arguments and variables are the caller's.

    Args:
        program: the kernels that run: a traced program, best behind TensorFlow's optimizer.
        onednn: whether they are oneDNN's.
        inter_op: threads that run kernels.
        intra_op: threads of one kernel.
    """
    run = _Run(program, onednn, inter_op, intra_op)
    given = [Buffer(0, name, lent=True) for name in program.functions[program.root].inputs]
    try:
        run.function(program.root, given, "")
    except UnknownError as error:
        return Peak(None, reason=str(error))
    constants = (
        node.outputs[0].bytes or 0
        for plan in run.plans.values()
        for node in plan.nodes
        if node.type == "Const"
    )
    return Peak(run.heap.most, run.heap.held_at_most(), sum(constants))


class _Plan:
    """What is needed of a function, and who waits for whom."""

    def __init__(self, graph: Graph) -> None:
        live = live_names(graph).union(graph.inputs)
        self.graph = graph
        self.nodes = [node for name, node in graph.nodes.items() if name in live]
        self.uses = Counter(edge for node in self.nodes for edge in node.inputs)
        self.uses.update(graph.outputs)
        self.waits: dict[str, int] = {}
        self.followers: dict[str, list[str]] = defaultdict(list)
        for node in self.nodes:
            before = [*(edge.name for edge in node.inputs), *node.controls]
            self.waits[node.name] = len(before)
            for name in before:
                self.followers[name].append(node.name)

    def kernel(self, node: Node, onednn: bool, threads: int) -> Kernel:
        nodes = self.graph.nodes
        sources = tuple(nodes[edge.name].outputs[edge.output] for edge in node.inputs)
        values = tuple(None if edge.output else nodes[edge.name].value for edge in node.inputs)
        return Kernel(node, sources, values, onednn, threads)

    def padded_inside(self, node: Node) -> bool:
        """Whether oneDNN's convolution takes in the padding (mkl_layout_pass.cc)."""
        readers = [self.graph.nodes[name] for name in self.followers[node.name]]
        return (
            node.type == "Pad"
            and self.uses[Edge(node.name, 0)] == len(readers) == 1
            and plain_type(readers[0].type) == "Conv2D"
            and readers[0].attrs.get("padding") == "VALID"
        )


class _Order:
    """What runs next on one thread (tensorflow/core/common_runtime/executor.cc, `ScheduleReady`).

    Of what a kernel makes ready, that which costs nothing runs at once, and the last of the rest
    where there is nothing such. The others wait, and the one that came last is taken first.
    """

    def __init__(self, roots: Iterable[Node]) -> None:
        self._waiting = deque(roots)
        self._now: deque[Node] = deque()

    def next(self) -> Node | None:
        queue = self._now or self._waiting
        return queue.popleft() if queue else None

    def add(self, ready: Iterable[Node]) -> None:
        """What has become ready, by one kernel."""
        costly: list[Node] = []
        for node in ready:
            (self._now if node.type in _CHEAP else costly).append(node)
        if costly and not self._now:
            self._now.append(costly.pop())
        self._waiting.extendleft(costly)


class _SideBySide(_Order):
    """The same on several threads: branches go on together, what became ready first runs first."""

    def add(self, ready: Iterable[Node]) -> None:
        self._waiting.extend(ready)


class _Run:
    """One call of a program."""

    def __init__(self, program: Program, onednn: bool, inter_op: int, intra_op: int) -> None:
        self.program = program
        self.onednn = onednn
        self.inter_op = inter_op
        self.intra_op = intra_op
        self.heap = Heap()
        self.plans: dict[str, _Plan] = {}
        self.kernels = 0

    def function(self, name: str, given: Sequence[Buffer], prefix: str) -> list[Buffer]:
        """Run a function, which takes over its arguments; its results are the caller's."""
        if name not in self.program.functions:
            raise UnknownError(f"the function {name} is not in the graph")
        plan = self.plans.setdefault(name, _Plan(self.program.functions[name]))
        waits, made = dict(plan.waits), dict[Edge, Buffer]()
        arguments = dict(zip(plan.graph.inputs, given, strict=True))
        order = (_Order if self.inter_op == 1 else _SideBySide)(
            node for node in plan.nodes if not waits[node.name]
        )
        while (node := order.next()) is not None:
            if node.name in arguments:
                outputs = [arguments[node.name]]
            else:
                outputs = self._run(plan, node, [made[edge] for edge in node.inputs], prefix)
            for index, buffer in enumerate(outputs):
                edge = Edge(node.name, index)
                made[edge] = buffer
                buffer.needed += plan.uses[edge]
            self.heap.let_go(outputs)
            ready = []
            for follower in plan.followers[node.name]:
                waits[follower] -= 1
                if not waits[follower]:
                    ready.append(plan.graph.nodes[follower])
            order.add(ready)
        if any(waits.values()):
            raise UnknownError("a loop of TensorFlow 1 is not followed")
        return [made[edge] for edge in plan.graph.outputs]

    def _run(self, plan: _Plan, node: Node, inputs: list[Buffer], prefix: str) -> list[Buffer]:
        """Run one operation, which takes over its inputs."""
        self.kernels += 1
        if self.kernels > MOST_KERNELS:
            raise UnknownError(f"more than {MOST_KERNELS:,} kernels would have to be followed")
        key = prefix + node.name
        if node.type in CALLS:
            return self.function(str(node.attrs.get("f")), inputs, f"{key}/")
        if node.type in LOOPS:
            return self._loop(plan, node, inputs, f"{key}/")
        if node.type in BRANCHES:
            outputs = self._branches(node, inputs, f"{key}/")
        else:
            outputs = self._kernel(plan, node, inputs, key)
        self.heap.let_go(inputs)
        return outputs

    def _kernel(self, plan: _Plan, node: Node, inputs: list[Buffer], key: str) -> list[Buffer]:
        if node.type in ("Const", "Placeholder", "VarHandleOp"):
            return [Buffer(0, key, lent=True)]
        kernel = plan.kernel(node, self.onednn, self.intra_op)
        if node.type in LISTS:
            return LISTS[node.type](self.heap, kernel, inputs, key)
        whose = {0: 0} if self.onednn and plan.padded_inside(node) else shared(kernel)
        over = next((i for i in overwritten(kernel) if inputs[i].is_free), None)
        if over is not None:
            whose = {0: over}
        outputs = [
            inputs[whose[index]].taken() if index in whose else self._new(spec, node, key)
            for index, spec in enumerate(node.outputs)
        ]
        self.heap.let_go([self.heap.new(temporary_bytes(kernel), key)])
        return outputs

    def _new(self, spec: TensorSpec, node: Node, key: str) -> Buffer:
        if spec.dtype in HANDLES:
            return Buffer(0, key)
        if spec.bytes is None:
            what = "text has no fixed size" if spec.dtype == "string" else "its shape is open"
            raise UnknownError(f"the size of {key} ({node.type}) is not known: {what}")
        return self.heap.new(spec.bytes, key)

    def _branches(self, node: Node, inputs: list[Buffer], prefix: str) -> list[Buffer]:
        """All of them, one after the other; what the last gives goes on."""
        both = [node.attrs.get("then_branch"), node.attrs.get("else_branch")]
        outputs: list[Buffer] = []
        for name in node.attrs.get("branches") or both:
            self.heap.let_go(outputs)
            given = [buffer.taken() for buffer in inputs[1:]]
            outputs = self.function(str(name), given, prefix)
        return outputs

    def _loop(self, plan: _Plan, node: Node, state: list[Buffer], prefix: str) -> list[Buffer]:
        trips, reason = trip_count(self.program, plan.graph, node)
        turn, before = 0, (-1, -1)
        while trips is None or turn < trips:
            now = self.heap.held, self.heap.most
            if now == before:
                break
            if trips is None and turn == _SETTLED:
                raise UnknownError(f"{prefix}: {reason}, and every turn holds more")
            given = [buffer.taken() for buffer in state]
            self.heap.let_go(self.function(str(node.attrs.get("cond")), given, f"{prefix}cond/"))
            state = self.function(str(node.attrs.get("body")), state, f"{prefix}body/")
            turn, before = turn + 1, now
        return state
