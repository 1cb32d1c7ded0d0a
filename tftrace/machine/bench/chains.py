"""Time of one operation inside a graph: a long chain minus a short one, divided by the difference.

What both chains have in common (calling the function, its first output buffer, reading the result)
drops out. Inside the chain an element-wise operation writes over its input, as in a real network.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from tftrace.machine.bench.timing import Measured, measure_seconds

_SHORT = 2
_LEAST_SHARE = 0.2  # of the long chain; if its links seem to take less, that is noise


@contextmanager
def graph_optimizer_off() -> Iterator[None]:
    """Keep TensorFlow from simplifying a chain of equal operations away."""
    import tensorflow as tf

    before = tf.config.optimizer.get_experimental_options()
    tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": True})
    try:
        yield
    finally:
        previous = before.get("disable_meta_optimizer", False)
        tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": previous})


def seconds_per_link(
    link: Callable[[Any, Any], Any],
    first: Any,
    operand: Any,
    *,
    links: int = 12,
    repeats: int = 8,
    budget: float = 0.25,
) -> Measured:
    """Seconds of `x = link(x, operand)` within a `tf.function`, starting at `first`.

    Call it within `graph_optimizer_off()`, with so many links that they take most of the time.
    """
    short = _chain(link, _SHORT, first, operand)
    long = _chain(link, _SHORT + links, first, operand)
    # Only ever the least disturbed short chain is taken off: the difference of two disturbed times
    # can be anything.
    common = measure_seconds(short, repeats=repeats, at_least=0.001, budget=budget / 2).best
    return measure_seconds(long, repeats=repeats, at_least=0.001, budget=budget).map(
        lambda seconds: max(seconds - common, _LEAST_SHARE * seconds) / links
    )


def _chain(link: Callable[[Any, Any], Any], length: int, first: Any, operand: Any) -> Any:
    import tensorflow as tf

    def call(x: Any, y: Any) -> Any:
        for _ in range(length):
            x = link(x, y)
        return tf.reduce_max(x[:1])

    function = tf.function(call, autograph=False).get_concrete_function(first, operand)
    return lambda: function(first, operand)
