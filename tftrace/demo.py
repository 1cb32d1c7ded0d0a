"""The experiment that tftrace exists for: one small CNN, with and without batch norm."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from tftrace.comparison.compare import Comparison, Side, compare_models
from tftrace.folding.fold import FoldResult, fold

SHAPE = (32, 32, 3)
CLASSES = 43
PAIRS = 9
"""Of timed passes: enough for a verdict (see `ratio.MIN_PAIRS`), in less than a minute in all."""


@dataclass(frozen=True)
class Demo:
    """The experiment and its remedy.

    ``question``: without batch norm (A) against with (B). ``fold``: the second network with its
    batch norm folded away; ``answer``: with batch norm (A) against folded (B).
    """

    question: Comparison
    fold: FoldResult
    answer: Comparison


def build(batch_norm: bool) -> Any:
    """Conv2D 32 3x3 relu same on 32x32x3, optionally batch norm, Flatten, Dense 43 softmax."""
    import keras

    layers = keras.layers
    model = keras.Sequential(name="with_bn" if batch_norm else "without_bn")
    model.add(keras.Input(SHAPE))
    model.add(layers.Conv2D(32, 3, padding="same", activation="relu", name="conv2d"))
    if batch_norm:
        model.add(layers.BatchNormalization(name="batch_normalization"))
    model.add(layers.Flatten(name="flatten"))
    model.add(layers.Dense(CLASSES, activation="softmax", name="dense"))
    return model


def run_demo(out: Path, samples: int, progress: Callable[[str], None]) -> Demo:
    """Measure both networks and the folded one on random images; the runs go to ``out``."""
    data = np.random.default_rng(0).random((samples, *SHAPE), dtype=np.float32)
    plain, normalized = build(False), build(True)
    _train_statistics(normalized)
    with_bn = Side("with batch norm", normalized)
    compare = partial(compare_models, x=data, pairs=PAIRS, out=out, progress=progress)
    question = compare(Side("without batch norm", plain), with_bn, calibrate=False)
    folded = fold(normalized, data)
    answer = compare(with_bn, Side("batch norm folded", folded.model), calibrate=False)
    return Demo(question, folded, answer)


def _train_statistics(model: Any) -> None:
    """Give batch norm statistics as after training; fresh ones would normalize nothing."""
    random = np.random.default_rng(1)
    layer = model.get_layer("batch_normalization")
    layer.set_weights([random.uniform(0.5, 1.5, w.shape) for w in layer.get_weights()])
