"""Several ways to predict, measured in turn on the same data."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import tensorflow as tf

from tftrace.advice.attempts import Attempt
from tftrace.advice.process import variant_in_a_process
from tftrace.advice.recipe import Recipe
from tftrace.advice.variant import Variant, variant
from tftrace.comparison.outputs import FLOAT_ROUNDING, differences
from tftrace.comparison.ratio import Ratio, ratio_of
from tftrace.errors import TftraceError
from tftrace.estimation.kernels import Estimate
from tftrace.tracer.data.inputs import samples_of

_CHECKED = 2  # batches whose outputs are compared
_FLAT = 1e-6  # of the outputs' scale: what varies less from sample to sample does not vary
_WARMUP = 2  # the first pass traces the graph, the second lets TensorFlow settle


@dataclass(frozen=True)
class Trial:
    """A remedy and what became of it.

    Attributes:
        name, how: what was tried, and how to do it.
        recipe: the same as data.
        ms: median of its passes; None where it was not measured.
        ratio: its time over that of the model as it is, with the interval; None as ``ms``.
        promised_ms: what the run's findings say that it saves of one pass; None: nothing.
        estimate: of one pass, of a dry run; None where there is none.
        output_difference: the largest over the first batches, relative to the outputs' scale; None
            where it was not measured.
        reason: why it was not measured, or estimated, or why it does not count; None where it does.
    """

    name: str
    how: str
    recipe: Recipe
    ms: float | None = None
    ratio: Ratio | None = None
    promised_ms: float | None = None
    estimate: Estimate | None = None
    output_difference: float | None = None
    reason: str | None = None

    @property
    def wins(self) -> bool:
        """Whether it is faster beyond what chance explains, and computes the same."""
        faster = self.ratio is not None and self.ratio.resolvable and self.ratio.ratio < 1
        return faster and self.reason is None and not self.recipe.rounds

    @property
    def share(self) -> float:
        """Its time over that of the model as it is; infinite where it was not measured."""
        return float("inf") if self.ratio is None else self.ratio.ratio


def untried(attempt: Attempt, promised_ms: float | None = None) -> Trial:
    """What is known of a remedy before it is measured."""
    return Trial(attempt.name, attempt.how, attempt.recipe, promised_ms=promised_ms)


def measure(
    ways: Sequence[Attempt],
    load: Callable[[], Any],
    data: Any,
    passes: int,
    promises: Mapping[str, float | None],
) -> tuple[list[Trial], bool]:
    """Time all ``ways`` in turn; the first is the model as it is.

    Returns: a trial for each, in order, and whether the model's outputs vary between samples.

    Raises:
        TftraceError: the model as it is cannot be run.
    """
    trials = [untried(way, promises.get(way.name)) for way in ways]
    with ExitStack() as stack:
        stack.enter_context(_no_word_of_retracing())
        ready: dict[int, Variant] = {}
        for index, way in enumerate(ways):
            try:
                ready[index] = _ready(way.recipe, load, data, stack)
            # A way that the model cannot go fails when its graph is made, or when it runs.
            except (TftraceError, ValueError, tf.errors.OpError) as error:
                if index == 0:
                    raise
                trials[index] = replace(trials[index], reason=_line(error))
        times = _in_turn(ready, passes)
        count = min(samples_of(data), _CHECKED * ways[0].recipe.batch_size)
        expected = ready[0].outputs(count)
        for index, found in times.items():
            _, apart = differences(expected, ready[index].outputs(count))
            trials[index] = replace(
                trials[index],
                ms=statistics.median(found),
                ratio=ratio_of(times[0], found) if index else None,
                output_difference=apart,
                reason=_another_function(ways[index].recipe, apart),
            )
    return trials, any(map(_varies, expected))


@contextmanager
def _no_word_of_retracing() -> Iterator[None]:
    """TensorFlow warns of a function that is traced often; here every way has one of its own."""
    logger = tf.get_logger()
    level = logger.level
    logger.setLevel("ERROR")
    try:
        yield
    finally:
        logger.setLevel(level)


def _ready(recipe: Recipe, load: Callable[[], Any], data: Any, stack: ExitStack) -> Variant:
    make = variant_in_a_process if recipe.own_process else variant
    made = make(recipe, load, data, stack)
    for _ in range(_WARMUP):
        made.run()
    return made


def _in_turn(ready: Mapping[int, Variant], passes: int) -> dict[int, list[float]]:
    """Times of each in ms; every other round runs backward, so that none always follows another."""
    times: dict[int, list[float]] = {index: [] for index in ready}
    for turn in range(passes):
        for index in list(ready)[:: 1 if turn % 2 == 0 else -1]:
            begin = time.perf_counter()
            ready[index].run()
            times[index].append((time.perf_counter() - begin) * 1e3)
    return times


def _another_function(recipe: Recipe, apart: float) -> str | None:
    if recipe.rounds or apart <= FLOAT_ROUNDING:
        return None
    return (
        f"its outputs differ by {apart:.1e} of their scale: it draws random numbers, or keeps state"
    )


def _varies(outputs: np.ndarray) -> bool:
    """Whether some sample's output is another than the first one's."""
    if outputs.size == 0 or outputs.dtype.kind not in "fc":
        return False
    scale = np.max(np.abs(outputs))
    return bool(np.max(np.abs(outputs - outputs[:1])) > _FLAT * scale)


def _line(error: Exception) -> str:
    text = error.message if isinstance(error, tf.errors.OpError) else str(error)
    return next((line.strip() for line in (text or "").splitlines() if line.strip()), "")[:200]
