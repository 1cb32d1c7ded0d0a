"""Remove BatchNormalization exactly, by working it into the weights of its neighbors.

At inference batch normalization is `s x + t` per channel. If a convolution or a dense layer makes
its input with no nonlinearity in between, `s` and `t` go into that layer's kernel and bias
(backward); else, if every reader of its output is such a layer, they go there (forward), past
layers that only move values or average them. What would change the result stays.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import keras

from tftrace.comparison.outputs import differences
from tftrace.folding.graph import batch_norms_inside, call_graph, is_open, predicts_plainly
from tftrace.folding.plan import Folded, Kept, plan_folds
from tftrace.folding.rebuild import rebuild
from tftrace.tracer.state import state_kept


@dataclass(frozen=True)
class FoldResult:
    """A folded model and the account of it.

    Attributes:
        model: a new model of plain Keras layers, not compiled; it shares nothing with the original.
            If `folded` is empty because the model's graph cannot be read, the model itself.
        folded: the BatchNormalization layers that are gone.
        kept: those that stay, each with the reason.
        max_abs_error: largest `|folded - original|` over all outputs; None without data.
        max_rel_error: the same relative to the output's scale: the largest, over the outputs, of
            `max |folded - original| / max |original|` (0 / 0 counts as 0); None without data.
    """

    model: keras.Model
    folded: list[Folded]
    kept: list[Kept]
    max_abs_error: float | None
    max_rel_error: float | None


def fold(model: keras.Model, data: Any = None) -> FoldResult:
    """Fold every BatchNormalization that can be folded exactly.

    Exact means: the same function in real arithmetic. The new weights are computed in float64 and
    rounded to the layers' own type once; outputs differ by rounding only.

    Args:
        model: a Functional or Sequential Keras 3 model, nested ones included. It is not changed.
        data: input for `model.predict` (array or structure of arrays, sample axis first). If given,
            both models predict it and the largest difference is reported.

    Returns:
        The new model and what was folded, what was kept and why.

    Raises:
        TypeError: if `model` is not a Keras 3 model.
        NotImplementedError: from Keras, if a layer of a class of the user's own has no `get_config`
            and so cannot be copied.
    """
    if not isinstance(model, keras.Model):
        raise TypeError(f"fold() needs a Keras 3 model, not {type(model)}")
    obstacle = _obstacle(model)
    if obstacle is not None:
        kept = [
            Kept(layer.name, f"{model.name}/{layer.name}", obstacle)
            for layer in batch_norms_inside(model)
        ]
        return FoldResult(model, [], kept, *_errors(model, model, data))
    plan = plan_folds(call_graph(model))
    folded = rebuild(model, plan)
    return FoldResult(folded, plan.folded, plan.kept, *_errors(model, folded, data))


def _obstacle(model: keras.Model) -> str | None:
    name = type(model).__name__
    if not is_open(model):
        return f"{name} is subclassed or not built: its graph of layers is not known"
    if not predicts_plainly(model):
        return f"{name}.predict does more than call its layers; fold the network inside it"
    return None


def _errors(
    original: keras.Model, folded: keras.Model, data: Any
) -> tuple[float | None, float | None]:
    if data is None:
        return None, None
    with state_kept(original, folded):
        expected = keras.tree.flatten(original.predict(data, verbose=0))
        actual = keras.tree.flatten(folded.predict(data, verbose=0))
    return differences(expected, actual)
