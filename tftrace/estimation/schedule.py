"""How long kernels take that may run beside one another: branches, on threads of one machine."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tftrace.graph import Graph


@dataclass(frozen=True)
class Task:
    """A kernel to be run.

    Attributes:
        seconds: alone.
        after: positions of the tasks it waits for, all of them before its own.
        share: of the machine that it keeps busy, above 0 and at most 1: as many as add up to 1 run
            beside one another as fast as each alone.
    """

    seconds: float
    after: tuple[int, ...] = ()
    share: float = 1.0


@dataclass(frozen=True)
class Ran:
    """What became of a task.

    Attributes:
        wall: its seconds of the whole, where each instant is divided evenly among those that run.
        beside: seconds in which another task ran, too.
    """

    wall: float
    beside: float


def scheduled(tasks: Sequence[Task], threads: int) -> list[Ran]:
    """Run ``tasks`` on ``threads``, first come, first served, as TensorFlow's executor does.

    Those whose shares add up to more than the machine are slower in that proportion. The ``wall``
    of all adds up to the time from the first one's begin to the last one's end.
    """
    waits_for = [len(set(task.after)) for task in tasks]
    followers: list[list[int]] = [[] for _ in tasks]
    for i, task in enumerate(tasks):
        for before in set(task.after):
            followers[before].append(i)
    ready = deque(i for i, count in enumerate(waits_for) if not count)
    left: dict[int, float] = {}
    wall, beside = [0.0] * len(tasks), [0.0] * len(tasks)
    while ready or left:
        while ready and len(left) < threads:
            begun = ready.popleft()
            left[begun] = tasks[begun].seconds
        slower = max(1.0, sum(tasks[i].share for i in left))
        step = min(left.values())
        for i in left:
            wall[i] += step * slower / len(left)
            beside[i] += step * slower if len(left) > 1 else 0.0
        ended = [i for i in left if left[i] <= step]
        left = {i: rest - step for i, rest in left.items() if i not in ended}
        for follower in (f for i in ended for f in followers[i]):
            waits_for[follower] -= 1
            if not waits_for[follower]:
                ready.append(follower)
    return [Ran(*ran) for ran in zip(wall, beside, strict=True)]


def order_of(graph: Graph, groups: Iterable[Sequence[str]]) -> list[tuple[int, ...]]:
    """For each group of nodes the positions of those that it waits for, through all other nodes.

    Args:
        graph: its nodes come after what they read.
        groups: names of nodes, each group behind those that it waits for.
    """
    group = {name: i for i, names in enumerate(groups) for name in names}
    found: dict[int, set[int]] = {i: set() for i in group.values()}
    ends: dict[str, frozenset[int]] = {}
    for name, node in graph.nodes.items():
        sources = [*(edge.name for edge in node.inputs), *node.controls]
        waits = frozenset().union(*(ends.get(source, ()) for source in sources))
        own = group.get(name)
        if own is None:
            ends[name] = waits
        else:
            # A loop and what fills its lists are one group, around what lies between them.
            found[own].update(i for i in waits if i < own)
            ends[name] = frozenset((own,))
    return [tuple(sorted(found[i])) for i in sorted(found)]
