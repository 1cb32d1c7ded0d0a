"""A way to predict with a model, as data: what a remedy changes, and how to do it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace


@dataclass(frozen=True)
class Recipe:
    """How to predict: the model as it is loaded, changed by what is set here.

    Attributes:
        batch_size: samples per batch.
        jit: compile with XLA; None leaves it to Keras.
        fold: batch norms folded into their neighbors.
        freeze: the weights as constants of the predict function.
        bfloat16, float16: computed in that type, the weights kept in float32.
        function: the model called by a ``tf.function`` on slices, instead of ``predict``.
        no_bias: without the biases that convolutions of Keras 2 add in front of a batch norm.
        intra_op_threads, inter_op_threads: TensorFlow's, in a process of its own; None leaves them.
    """

    batch_size: int = 32
    jit: bool | None = None
    fold: bool = False
    freeze: bool = False
    bfloat16: bool = False
    float16: bool = False
    function: bool = False
    no_bias: bool = False
    intra_op_threads: int | None = None
    inter_op_threads: int | None = None

    @property
    def rounds(self) -> bool:
        """Whether its outputs may differ by more than float32 rounding."""
        return self.bfloat16 or self.float16

    @property
    def own_process(self) -> bool:
        """Whether it sets what TensorFlow takes once per process."""
        return self.intra_op_threads is not None or self.inter_op_threads is not None


def changes(base: Recipe, other: Recipe) -> Iterator[str]:
    """Names of what ``other`` does otherwise."""
    for field in fields(Recipe):
        if getattr(base, field.name) != getattr(other, field.name):
            yield field.name


def compatible(base: Recipe, parts: Sequence[Recipe]) -> list[int]:
    """Which of ``parts`` can be done at once: of two that change the same, the first.

    Frozen weights are those of predict's own function, so that they do not go with ``function``.
    """
    taken: set[str] = set()
    kept = []
    for index, part in enumerate(parts):
        own = set(changes(base, part))
        against = {"freeze": {"function"}, "function": {"freeze"}}
        barred = set().union(*(against.get(name, set()) for name in own))
        if not taken & (own | barred):
            taken |= own
            kept.append(index)
    return kept


def combined(base: Recipe, parts: Sequence[Recipe]) -> Recipe:
    """All that ``parts`` change at once; no two of them may change the same."""
    found = {name: getattr(part, name) for part in parts for name in changes(base, part)}
    return replace(base, **found)
