"""Models of one layer (or one oddity) with their work per sample, derived by hand.

Each number is the formula written out for the shapes of the case; none is read off a run.
``macs`` and ``mults`` are what the mathematics needs. Where a case says nothing of
``mults_executed`` and ``macs_executed`` they are the same. Shapes are without the batch.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import keras


@dataclass(frozen=True)
class Case:
    name: str
    model: Callable[[], Any]
    shapes: Sequence[tuple[int, ...]]
    macs: int | None
    mults: int | None
    more: dict[str, int | float | None] = field(default_factory=dict)


CASES: list[Case] = []


def case(name, build, *shapes, macs=0, mults=None, dtype="float32", **more):
    """``build`` is a layer, or a function from input tensors to outputs."""

    def model():
        inputs = [keras.Input(shape, dtype=dtype) for shape in shapes]
        outputs = build()(inputs[0] if len(inputs) == 1 else inputs)
        return keras.Model(inputs, outputs)

    mults = macs if mults is None else mults
    more = {"macs_executed": macs, "mults_executed": mults, **more}
    CASES.append(Case(name, model, shapes, macs, mults, more))


def on(function):
    """A function of tensors as something to build: ``case("x", on(lambda x: ...), shape)``."""
    return lambda: function
