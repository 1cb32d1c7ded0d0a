"""Kernels beside one another, against schedules drawn by hand."""

import pytest

from tftrace.estimation.schedule import Task, order_of, scheduled
from tftrace.graph import Edge, Graph, Node


def walls(tasks: list[Task], threads: int) -> list[float]:
    return [ran.wall for ran in scheduled(tasks, threads)]


def test_a_chain_is_a_sum() -> None:
    chain = [Task(1.0), Task(2.0, (0,)), Task(3.0, (1,))]
    assert walls(chain, 4) == [1, 2, 3]
    assert [ran.beside for ran in scheduled(chain, 4)] == [0, 0, 0]


def test_what_keeps_the_machine_busy_gains_nothing_beside_others() -> None:
    """Both at half speed until 4, of which each has half, then the longer one alone."""
    assert walls([Task(2.0), Task(3.0)], 2) == [2, 3]


def test_half_a_machine_each_runs_at_full_speed() -> None:
    """Beside one another for 2, one more for the longer."""
    ran = scheduled([Task(2.0, share=0.5), Task(3.0, share=0.5)], 2)
    assert [one.wall for one in ran] == [1, 2]
    assert [one.beside for one in ran] == [2, 2]


def test_shares_above_the_machine_slow_all_down() -> None:
    """0.8 + 0.7 = 1.5: 2 seconds of each take 3."""
    assert walls([Task(2.0, share=0.8), Task(2.0, share=0.7)], 2) == pytest.approx([1.5, 1.5])


def test_one_thread_runs_one_after_the_other() -> None:
    assert walls([Task(2.0, share=0.5), Task(3.0, share=0.5)], 1) == [2, 3]


def test_a_third_waits_for_a_thread() -> None:
    """0 and 1 from 0; 0 ends at 1, 2 begins; 1 ends at 2, 2 at 3."""
    third = [Task(seconds, share=0.5) for seconds in (1.0, 2.0, 2.0)]
    assert walls(third, 2) == [0.5, 1, 1.5]


def test_a_diamond() -> None:
    """1, then 2 beside 4 with half the machine each, then 1: 1 + 4 + 1 in all."""
    diamond = [Task(1.0), Task(2.0, (0,), 0.5), Task(4.0, (0,), 0.5), Task(1.0, (1, 2))]
    assert walls(diamond, 2) == [1, 1, 3, 1]


def test_tasks_that_take_no_time() -> None:
    assert walls([Task(0.0), Task(0.0, (0,)), Task(1.0, (1, 1))], 2) == [0, 0, 1]
    assert walls([], 2) == []


def node(name: str, *inputs: str, controls: tuple[str, ...] = ()) -> Node:
    return Node(name, "Relu", tuple(Edge(source, 0) for source in inputs), controls=controls)


def test_order_goes_through_what_takes_no_time() -> None:
    nodes = [node("a"), node("b", "a"), node("c", "b"), node("d", controls=("c",))]
    graph = Graph("g", {each.name: each for each in nodes})
    assert order_of(graph, [("a",), ("c",), ("d",)]) == [(), (0,), (1,)]


def test_a_group_does_not_wait_for_what_lies_inside_it() -> None:
    nodes = [node("loop"), node("between", "loop"), node("stack", "loop", "between")]
    graph = Graph("g", {each.name: each for each in nodes})
    assert order_of(graph, [("between",), ("loop", "stack")]) == [(), (0,)]
