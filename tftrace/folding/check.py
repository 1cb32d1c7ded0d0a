"""Fold a saved model and check the result: same outputs, and what it saves."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tftrace.comparison.compare import Comparison, Side, compare_models
from tftrace.comparison.outputs import FLOAT_ROUNDING
from tftrace.errors import TftraceError, about
from tftrace.files import replacing, require_writable
from tftrace.folding.fold import FoldResult, fold


@dataclass(frozen=True)
class FoldOutcome:
    """A fold, where it was saved, and (with data) both models measured interleaved."""

    result: FoldResult
    saved: Path
    comparison: Comparison | None


def fold_file(
    model: Path,
    output: Path,
    data: Path | None,
    *,
    unsafe: bool = False,
    custom: Sequence[str] = (),
    batch_size: int = 32,
    pairs: int = 11,
    progress: Callable[[str], None] = lambda _: None,
) -> FoldOutcome:
    """Fold the model saved at ``model`` and save it at ``output``.

    Raises:
        TftraceError: a file does not load, ``output`` is no ``.keras`` path or cannot be written,
            nothing can be folded, or the outputs differ by more than float rounding explains.
    """
    from tftrace.tracer.loading.models import custom_scope

    if output.suffix != ".keras":
        raise TftraceError(f"{output}: the folded model is saved as .keras")
    require_writable(output)
    with custom_scope(custom):
        return _fold_file(model, output, data, unsafe, custom, batch_size, pairs, progress)


def _fold_file(
    model: Path,
    output: Path,
    data: Path | None,
    unsafe: bool,
    custom: Sequence[str],
    batch_size: int,
    pairs: int,
    progress: Callable[[str], None],
) -> FoldOutcome:
    from tftrace.tracer.data.inputs import fit_inputs, load_data
    from tftrace.tracer.loading.models import load_model

    progress("loading the model")
    loaded = load_model(model, unsafe, custom)
    arrays = None
    if data is not None:
        with about(data):
            arrays = fit_inputs(loaded, load_data(data))
    progress("folding")
    result = fold(loaded, arrays)
    if not result.folded:
        reasons = "; ".join(f"{k.layer}: {k.reason}" for k in result.kept[:3])
        raise TftraceError(f"nothing to fold in {model}: {reasons or 'it has no batch norm'}")
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
