"""How often traced loops turn, against how often they turned when they ran."""

import pytest
import tensorflow as tf

from tftrace.graph import flatten
from tftrace.tracer.graphs.programs import program_of
from tftrace.tracer.graphs.recorder import Recording

# Condition, body and start of loops whose turns are known without data; turns by hand.
LOOPS = {
    "a limit that the body moves": (lambda i, n: i < n, lambda i, n: (i + 1, n - 1), (0, 10), 5),
    "a step of a half": (lambda i: i <= 2.0, lambda i: (i + 0.5,), (0.0,), 5),
    # In float32 the tenth sum is 1.0000001, in decimals it is 1.
    "a step that is not exact": (lambda i: i <= 1.0, lambda i: (i + 0.1,), (0.0,), 10),
    "down": (lambda i: i > 0, lambda i: (i - 3,), (10,), 4),
    "down to and with": (lambda i: i >= 1, lambda i: (i - 3,), (10,), 4),
    "doubling": (lambda i: i < 100, lambda i: (i * 2,), (1,), 7),
    "halving": (lambda i: tf.not_equal(i, 0), lambda i: (i // 2,), (100,), 7),
    "a counter behind another": (lambda i, n: i < 10, lambda i, n: (i + n, n + 1), (0, 1), 4),
    "two counters": (
        lambda i, j: tf.logical_and(i < 10, j > 3),
        lambda i, j: (i + 1, j - 2),
        (0, 9),
        3,
    ),
    "either of two": (
        lambda i, j: tf.logical_or(i < 10, j > 3),
        lambda i, j: (i + 1, j - 2),
        (0, 9),
        10,
    ),
    "no turn": (lambda i: i < 0, lambda i: (i + 1,), (0,), 0),
    "a choice": (lambda i: i < 20, lambda i: (tf.where(i < 10, i + 1, i + 5),), (0,), 12),
    "a bound of turns, as Keras has it": (
        lambda i, n, x: tf.logical_and(i < tf.minimum(n, 8), i < 5),
        lambda i, n, x: (i + 1, n, x + 1.0),
        (0, 7, 0.0),
        5,
    ),
}


def trips_of(function, *specs):
    """Executions of the marker in the loop's body per call, and how the function is traced."""
    graph = function.get_concrete_function(*specs).graph
    (found,) = [o for o in flatten(program_of(graph, Recording(None))) if o.node.type == "Atan"]
    return found.times, found.reason


@pytest.mark.parametrize("name", LOOPS)
def test_turns_that_do_not_depend_on_data(name):
    condition, body, start, turns = LOOPS[name]

    @tf.function(autograph=False)
    def loop(x):
        count = tf.zeros((), tf.int64)
        *_, count, x = tf.while_loop(
            lambda *v: condition(*v[:-2]),
            lambda *v: (*body(*v[:-2]), v[-2] + 1, tf.math.atan(v[-1])),
            (*map(tf.constant, start), count, x),
        )
        return count, x

    ran, _ = loop(tf.ones(3))
    assert ran.numpy() == turns
    assert trips_of(loop, tf.TensorSpec((3,))) == (turns, None)


def test_a_for_loop_over_a_range():
    @tf.function
    def loop(x):
        for _ in tf.range(3, 11, 2):
            x = tf.math.atan(x)
        return x

    assert trips_of(loop, tf.TensorSpec((3,))) == (4, None)


def test_a_counter_and_data_together_are_unknown():
    @tf.function
    def loop(x):
        return tf.while_loop(
            lambda i, y: tf.logical_and(i < 5, tf.reduce_sum(y) > 0),
            lambda i, y: (i + 1, tf.math.atan(y)),
            (0, x),
        )

    times, reason = trips_of(loop, tf.TensorSpec((3,)))
    assert times is None
    assert reason == "trip count depends on data (Greater)"
