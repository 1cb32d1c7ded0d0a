"""Fold a saved model and check the result: same outputs, and what it saves."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tftrace.comparison.compare import Comparison, Side, compare_models
from tftrace.comparison.outputs import FLOAT_ROUNDING
from tftrace.errors import TftraceError
from tftrace.files import replacing, require_writable
from tftrace.folding.fold import FoldResult, fold
from tftrace.folding.rebuild import lambdas_of
from tftrace.tracer.keras_private import layers_within
from tftrace.tracer.loading.models import Loading, custom_scope
from tftrace.tracer.loading.saved_model import is_saved_model


@dataclass(frozen=True)
class FoldOutcome:
    """A fold, where it was saved, and (with data) both models measured interleaved."""

    result: FoldResult
    saved: Path
    comparison: Comparison | None

    def to_dict(self) -> dict[str, Any]:
        """As JSON types."""
        return {
            "schema": 1,
            "saved": str(self.saved),
            "folded": [asdict(each) | {"into": list(each.into)} for each in self.result.folded],
            "kept": [asdict(each) for each in self.result.kept],
            "max_abs_error": self.result.max_abs_error,
            "max_rel_error": self.result.max_rel_error,
            "comparison": None if self.comparison is None else self.comparison.to_dict(),
        }


def fold_file(
    model: Path,
    output: Path,
    data: Path | None,
    *,
    data_module: str | None = None,
    loading: Loading,
    batch_size: int = 32,
    pairs: int = 11,
    progress: Callable[[str], None] = lambda _: None,
) -> FoldOutcome:
    """Fold the model saved at ``model`` and save it at ``output``.

    Args:
        data: to compare outputs on and to measure both models with, or ``data_module``, a
            ``module:function`` that returns it.
        loading: how to load the model; by Keras 3.

    Raises:
        TftraceError: a file does not load, ``output`` is no ``.keras`` path or cannot be written,
            nothing can be folded, or the outputs differ by more than float rounding explains.
    """
    if loading.keras == 2:
        raise TftraceError(
            "fold rebuilds a model by Keras 3; without --keras 2 it loads what Keras 3 can of "
            "Keras 2, and with --model-module takes the weights of the rest"
        )
    if output.suffix != ".keras":
        raise TftraceError(f"{output}: the folded model is saved as .keras")
    require_writable(output)
    with custom_scope(loading.custom):
        return _fold_file(model, output, data, data_module, loading, batch_size, pairs, progress)


def _fold_file(
    model: Path,
    output: Path,
    data: Path | None,
    data_module: str | None,
    loading: Loading,
    batch_size: int,
    pairs: int,
    progress: Callable[[str], None],
) -> FoldOutcome:
    from tftrace.tracer.data.inputs import fit_inputs
    from tftrace.tracer.data.sources import about_data, alike, data_from

    if is_saved_model(model) and loading.model_module is None:
        raise TftraceError(
            f"{model} is a SavedModel, which has no Keras layers to fold; fold the model that it "
            "was exported from"
        )
    progress("loading the model")
    loaded = loading.model(model, only_keras_3=True)
    arrays = None
    if data is not None or data_module is not None:
        with about_data(data, data_module):
            arrays = fit_inputs(loaded, alike(loaded, data_from(data, data_module)))
    progress("folding")
    result = fold(loaded, arrays)
    if not result.folded:
        reasons = "; ".join(f"{k.layer}: {k.reason}" for k in result.kept[:3])
        raise TftraceError(f"nothing to fold in {model}: {reasons or 'it has no batch norm'}")
    for layer in layers_within(result.model):
        if lambdas_of(layer):
            raise TftraceError(
                f"{layer.name} has a lambda as an activation, which Keras writes as bytecode and "
                "does not read: the folded model could not be loaded; define it with def"
            )
    if result.max_rel_error is not None and result.max_rel_error > FLOAT_ROUNDING:
        raise TftraceError(
            f"the folded model differs by {result.max_rel_error:.1e} of its output's scale, more "
            "than float rounding explains; it was not saved"
        )
    with replacing(output) as part:
        result.model.save(part)
    comparison = None
    if arrays is not None:
        sides = (Side(model.name, loaded, batch_size), Side(output.name, result.model, batch_size))
        comparison = compare_models(*sides, arrays, pairs=pairs, progress=progress)
    return FoldOutcome(result, output, comparison)
