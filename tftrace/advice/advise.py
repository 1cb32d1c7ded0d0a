"""Try every remedy that applies beside the model as it is, and then what wins, together."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import Any

from tftrace.advice.attempts import Attempt, attempts, facts_of
from tftrace.advice.promises import Promise, kept, kernels_by_type, promised
from tftrace.advice.recipe import Recipe, combined, compatible
from tftrace.advice.trials import Trial, measure, untried
from tftrace.advice.variant import changed
from tftrace.advice.what_if import what_if
from tftrace.api.measure import profile
from tftrace.api.profile import Profile
from tftrace.comparison.ratio import MIN_PAIRS
from tftrace.errors import TftraceError
from tftrace.machine.bench.batches import steady_batches
from tftrace.text import Stage
from tftrace.tracer.data.inputs import fit_inputs, samples_of
from tftrace.tracer.data.own_batches import has_own_batches
from tftrace.tracer.keras_model import fixed_batch, overrides_predict

AS_IT_IS = "as it is"
TOGETHER = "together"


@dataclass(frozen=True)
class Advice:
    """What was tried on a model.

    Attributes:
        base: the model as it is.
        trials: the remedies, measured in turn with it.
        together: all that win and go together, measured again beside the model and the best of
            them; None where fewer than two do.
        best: what to do, ``together`` or one of the trials; None where nothing wins.
        outputs_vary: whether outputs differ between samples; if they do not, as of an untrained
            network, they cannot tell whether two ways compute the same. None of a dry run.
        passes: timed passes of each; 0 of a dry run, which has estimates and promises.
        promises: what became of those that the remedies had from the findings.
    """

    base: Trial
    trials: Sequence[Trial]
    together: Trial | None
    best: Trial | None
    outputs_vary: bool | None
    passes: int
    promises: Sequence[Promise]

    def to_dict(self) -> dict[str, Any]:
        """As JSON types."""
        return {
            "schema": 1,
            "base": _plain(self.base),
            "trials": [_plain(trial) for trial in self.trials],
            "together": None if self.together is None else _plain(self.together),
            "best": None if self.best is None else self.best.name,
            "outputs_vary": self.outputs_vary,
            "passes": self.passes,
            "promises": [asdict(promise) for promise in self.promises],
        }


def advise(
    load: Callable[[], Any],
    data: Any,
    *,
    batch_size: int = 32,
    passes: int = 11,
    dry: bool = False,
    progress: Callable[[str], None] = lambda _: None,
) -> Advice:
    """Try what may make ``predict`` on ``data`` faster.

    Args:
        load: makes the model; called once for each remedy, which changes what it gets.
        data: arrays for ``predict``.
        passes: of each way, at least 6; they take turns.
        dry: try nothing; tell what the findings of one traced pass promise, and what each way is
            estimated to take.

    Raises:
        TftraceError: too few passes, data that is not arrays, or a model that cannot be traced.
    """
    if passes < MIN_PAIRS:
        raise TftraceError(f"{passes} passes of each decide nothing; at least {MIN_PAIRS}")
    if has_own_batches(data):
        raise TftraceError("advise takes arrays, which every remedy can be given alike")
    model = load()
    x = fit_inputs(model, data)
    base = Attempt(AS_IT_IS, Recipe(fixed_batch(model) or batch_size), "")
    found = attempts(base.recipe, facts_of(model, samples_of(x)))
    progress("profiling the model as it is")
    traced = _traced(model, x, base.recipe)
    passes_in_all = _passes(traced, x)
    promises = {way.name: promised(way, traced.findings, passes_in_all) for way in found}
    if dry:
        guessed = [
            _estimated(way, promises.get(way.name), load, data, progress) for way in (base, *found)
        ]
        return Advice(guessed[0], guessed[1:], None, None, None, 0, [])
    progress(f"measuring {len(found) + 1} ways in turn, {passes} passes of each")
    (as_it_is, *trials), vary = measure([base, *found], load, data, passes, promises)
    winners = sorted((trial for trial in trials if trial.wins), key=lambda trial: trial.share)
    together, best = None, winners[0] if winners else None
    going = [winners[i] for i in compatible(base.recipe, [w.recipe for w in winners])]
    if len(going) > 1:
        recipe = combined(base.recipe, [trial.recipe for trial in going])
        all_at_once = Attempt(TOGETHER, recipe, " + ".join(trial.name for trial in going))
        alone = Attempt(going[0].name, going[0].recipe, going[0].how)
        progress(Stage("measuring together what wins", unplanned=True))
        again, _ = measure([base, all_at_once, alone], load, data, passes, {})
        together = again[1]
        if together.wins and together.share < again[2].share:
            best = together
    now = kernels_by_type(traced, passes_in_all)
    progress(Stage("comparing with what was promised", unplanned=True))
    told = _kept(found, trials, as_it_is, load, data, now)
    return Advice(as_it_is, trials, together, best, vary, passes, told)


def _estimated(
    way: Attempt,
    promised_ms: float | None,
    load: Callable[[], Any],
    data: Any,
    progress: Callable[[str], None],
) -> Trial:
    progress(Stage(f"estimating {way.name}", unplanned=True))
    trial = untried(way, promised_ms)
    try:
        return replace(trial, estimate=what_if(way.recipe, load, data, progress))
    except TftraceError as error:
        return replace(trial, reason=str(error))


def _kept(
    ways: Sequence[Attempt],
    trials: Sequence[Trial],
    base: Trial,
    load: Callable[[], Any],
    data: Any,
    now: Mapping[str, float],
) -> list[Promise]:
    """What became of each promise; a remedy that breaks its own is traced, to say why."""

    def then(recipe: Recipe) -> Mapping[str, float] | None:
        if recipe.function or recipe.freeze:
            return None  # not by the function that Keras makes for predict
        model, x = changed(recipe, load, data)
        traced = _traced(model, x, recipe)
        return kernels_by_type(traced, _passes(traced, x))

    found = (
        kept(base, trial, now, partial(then, way.recipe))
        for way, trial in zip(ways, trials, strict=True)
    )
    return [promise for promise in found if promise is not None]


def _traced(model: Any, x: Any, recipe: Recipe) -> Profile:
    """One pass as it is measured: without the wait for tf.data's autotuner where it ends, which no
    remedy may be promised."""
    jit = {None: "auto", True: "on", False: "off"}[recipe.jit]
    data = x if overrides_predict(model) else steady_batches(x, recipe.batch_size)
    return profile(model, data, batch_size=recipe.batch_size, jit=jit, repeats=0, calibrate=False)


def _passes(traced: Profile, x: Any) -> float:
    """Traced passes in one over the data: 1, or more where only the first batches were traced."""
    return float(samples_of(x) / traced.steps["samples"].sum())


def _plain(trial: Trial) -> dict[str, Any]:
    ratio = None if trial.ratio is None else trial.ratio.to_dict()
    return asdict(trial) | {"recipe": asdict(trial.recipe), "ratio": ratio, "wins": trial.wins}
