"""Two models, two settings or two runs side by side: which layers and kernels differ."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

from tftrace.api.measure import machine_roofs, profile
from tftrace.api.profile import Profile
from tftrace.comparison.differences import Difference, setting_differences
from tftrace.comparison.layer_pairs import layers_side_by_side
from tftrace.comparison.outputs import checked_difference
from tftrace.comparison.ratio import MIN_APART, MIN_PAIRS, Ratio, interleave, ratio_of
from tftrace.errors import TftraceError
from tftrace.text import Stage
from tftrace.units import with_units

_WARMUP = 2

SETTINGS = ("jit", "batch-size", "freeze")


@dataclass(frozen=True)
class Side:
    """One side of a comparison: a model and how to run it.

    ``frozen`` says that the model's weights are frozen, so that its outputs must be the other's.
    """

    name: str
    model: Any
    batch_size: int = 32
    jit: str = "auto"
    frozen: bool = False


@dataclass(frozen=True)
class Comparison:
    """What two runs show against each other.

    ``ratio`` is B's median latency over A's; None when the runs have too few passes.
    ``interleaved`` says whether both were interleaved in one process: two runs of their
    own may differ because the machine did. ``without_autotuner`` says whether the times are those
    of passes that do not wait for tf.data's autotuner where they end. ``layers`` has a row per
    layer of either: ``path, type, a_ms, b_ms, difference_ms, a_mults, b_mults, side, a_path,
    b_path``; times per sample, ``path`` that of B where both have the layer. Layers of one given
    name are one, all others are aligned by type, shape, parameters and order.
    ``output_difference`` is the largest difference between the outputs relative to their scale,
    where one side is the other with frozen weights; None where the outputs were not compared.
    ``kernels`` lists op types whose number of kernels differs: ``op_type, a, b``.
    """

    names: tuple[str, str]
    medians: tuple[float | None, float | None]
    ratio: Ratio | None
    interleaved: bool
    without_autotuner: bool
    profiles: tuple[Profile, Profile]
    layers: pd.DataFrame
    kernels: pd.DataFrame
    output_difference: float | None = None

    @property
    def differences(self) -> list[Difference]:
        """What differs beside the models: oneDNN, threads, processor, versions."""
        return setting_differences(*self.profiles)

    @property
    def verdict(self) -> str:
        """The result in one sentence."""
        first, second = self.names
        if self.ratio is None:
            least = f"{MIN_PAIRS} pairs" if self.interleaved else f"{MIN_APART} passes of each"
            return f"latency was not measured often enough to compare: that takes {least}"
        r = self.ratio
        basis = f"{r.pairs} pairs" if r.pairs else f"{r.passes[0]} and {r.passes[1]} passes"
        interval = f"{r.confidence:.0%} interval {r.low:.3f} to {r.high:.3f}, {basis}"
        if not r.resolvable:
            return f"no difference resolvable: {second} / {first} = {r.ratio:.3f} ({interval})"
        word = "slower" if r.ratio > 1 else "faster"
        return f"{second} is {word} than {first}: ratio {r.ratio:.3f} ({interval})"

    def to_dict(self) -> dict[str, Any]:
        """As JSON types."""
        from tftrace.tables.frame import records

        return {
            "schema": 1,
            "names": list(self.names),
            "medians_ms": list(self.medians),
            "ratio": None if self.ratio is None else self.ratio.to_dict(),
            "interleaved": self.interleaved,
            "without_autotuner": self.without_autotuner,
            "verdict": self.verdict,
            "output_difference": self.output_difference,
            "differences": [asdict(found) for found in self.differences],
            "warnings": [p.warnings for p in self.profiles],
            "layers": records(self.layers),
            "kernels": records(self.kernels),
        }

    def _repr_html_(self) -> str:
        from tftrace.report.notebook import comparison_html

        return comparison_html(self)


def compare_models(
    a: Side,
    b: Side,
    x: Any,
    pairs: int = 11,
    out: Path | None = None,
    progress: Callable[[str], None] = lambda _: None,
    calibrate: bool = True,
) -> Comparison:
    """Profile both sides on ``x``, then time them interleaved.

    The timed passes do not wait for tf.data's autotuner where they end, as predict on arrays does:
    that wait is often longer than what two models differ by. Only a model with a ``predict`` of
    its own, which may take nothing but arrays, and data in batches of its own have both timed as
    they are. Such batches are made once and kept in memory: both sides get the same.

    Args:
        pairs: timed passes of each; fewer than 6 give no ratio.
        out: folder for the two runs; temporary by default.
        calibrate: measure this machine's peaks if that was not done before.

    Raises:
        TftraceError: both sides are the same model object, one does not fit the data, or the
            outputs of a frozen model are not the other's.
    """
    from tftrace.tracer.data.inputs import fit_inputs
    from tftrace.tracer.data.own_batches import has_own_batches, own_batches
    from tftrace.tracer.keras_model import borrowed, overrides_predict
    from tftrace.tracer.state import state_kept
    from tftrace.tracer.ways import require_followed

    for side in (a, b):
        require_followed(side.model)
    own = has_own_batches(x)
    if own:
        # Fresh batches may be others: a shuffle's, say.
        x = own_batches(a.model, x, None, keep=True)
        a, b = (replace(side, batch_size=x.sizes[0]) for side in (a, b))
    if a.model is b.model:
        raise TftraceError("load the model twice to compare it under two settings")
    machine_roofs(calibrate, progress)  # or the first profile would measure the machine in silence
    profiles = []
    for side in (a, b):
        progress(f"profiling {side.name}")
        profiles.append(
            profile(
                side.model,
                x,
                batch_size=side.batch_size,
                jit=side.jit,
                repeats=0,
                out=out,
                source=side.name,
                calibrate=calibrate,
            )
        )
    steady = not own and not any(overrides_predict(side.model) for side in (a, b))
    once = sum(found.latency["traced_ms"] for found in profiles) / 1e3
    whole = all(found.run["trace"]["whole"] for found in profiles)
    words = f"measuring both interleaved, {pairs} times each"
    progress(Stage(words, once * (pairs + _WARMUP) if whole else None))
    with ExitStack() as stack:
        stack.enter_context(state_kept(a.model, b.model))
        runs = []
        for side in (a, b):
            stack.enter_context(borrowed(side.model, {"on": True, "off": False}.get(side.jit)))
            runs.append(_predict(side, fit_inputs(side.model, x), steady))
        # The first pass traces the graph, the second lets TensorFlow settle.
        times = interleave(runs[0], runs[1], pairs, warmup=_WARMUP)
        models = ((a.model, a.batch_size), (b.model, b.batch_size))
        difference = checked_difference(*models, x) if a.frozen or b.frozen else None
    return _comparison(
        (a.name, b.name),
        (profiles[0], profiles[1]),
        times,
        interleaved=True,
        without_autotuner=steady,
        output_difference=difference,
    )


def compare_runs(a: Profile, b: Profile) -> Comparison:
    """Two runs that were measured apart, from their stored latencies.

    Those without tf.data's autotuner where both runs have them.

    Raises:
        TftraceError: one is of another way to run the model: of fit, say, and the other of predict.
    """
    if a.way != b.way:
        raise TftraceError(
            f"{a.folder} is a run of {a.way} and {b.folder} one of {b.way}: nothing to compare"
        )
    steady = [p.latency["without_autotuner"] for p in (a, b) if p.latency.get("without_autotuner")]
    found = steady if len(steady) == 2 else [a.latency, b.latency]
    names = tuple(p.model["source"] or p.folder.name for p in (a, b))
    return _comparison(
        (names[0], names[1]),
        (a, b),
        (found[0]["all_ms"], found[1]["all_ms"]),
        interleaved=False,
        without_autotuner=len(steady) == 2,
    )


def parse_settings(texts: list[str]) -> dict[str, str]:
    """``["jit=on", "batch-size=128"]`` as a mapping.

    Raises:
        TftraceError: an unknown setting or a value that it cannot have.
    """
    found: dict[str, str] = {}
    for text in texts:
        name, sign, value = text.partition("=")
        if not sign or name not in SETTINGS:
            raise TftraceError(f"--set {text}: write name=value with {' or '.join(SETTINGS)}")
        if name == "batch-size" and not (value.isdigit() and int(value) > 0):
            raise TftraceError(f"--set {text}: a batch size is a whole number above 0")
        if name == "jit" and value not in ("on", "off", "auto"):
            raise TftraceError(f"--set {text}: jit is on, off or auto")
        if name == "freeze" and value != "on":
            raise TftraceError(f"--set {text}: freeze is on")
        found[name] = value
    return found


def sides(
    load: Callable[[Path], Any],
    a: Path,
    b: Path,
    batch_size: int,
    jit: str,
    changed: dict[str, str],
) -> tuple[Side, Side]:
    """The two sides that the command line means: two files, or one under two settings."""
    from tftrace.tracer.graphs.frozen import freeze
    from tftrace.tracer.keras_model import fixed_batch

    frozen = "freeze" in changed
    label = ", ".join(f"{name}={value}" for name, value in changed.items())
    one, other = load(a), load(b)
    first = Side(a.name, one, fixed_batch(one) or batch_size, jit)
    second = Side(
        name=f"{b.name} with {label}" if label else b.name,
        model=freeze(other) if frozen else other,
        batch_size=fixed_batch(other) or int(changed.get("batch-size", batch_size)),
        jit=changed.get("jit", jit),
        frozen=frozen,
    )
    return first, second


def _predict(side: Side, x: Any, steady: bool) -> Callable[[], Any]:
    from tftrace.tracer.predict import Predict

    run = Predict(side.model, side.batch_size)
    return partial(run.steady if steady else run, x)


def _comparison(
    names: tuple[str, str],
    profiles: tuple[Profile, Profile],
    times: tuple[list[float], list[float]],
    interleaved: bool,
    without_autotuner: bool,
    output_difference: float | None = None,
) -> Comparison:
    enough = min(map(len, times)) >= (MIN_PAIRS if interleaved else MIN_APART)
    medians = tuple(float(pd.Series(t).median()) if t else None for t in times)
    return Comparison(
        names=names,
        medians=(medians[0], medians[1]),
        ratio=ratio_of(*times, paired=interleaved) if enough else None,
        interleaved=interleaved,
        without_autotuner=without_autotuner,
        profiles=profiles,
        layers=with_units(layers_side_by_side(*profiles)),
        kernels=with_units(_kernels(*profiles)),
        output_difference=output_difference,
    )


def _kernels(a: Profile, b: Profile) -> pd.DataFrame:
    counts = [Counter(p.ops.loc[p.ops["layer"].notna(), "op_type"]) for p in (a, b)]
    kinds = sorted(set(counts[0]) | set(counts[1]))
    rows = [(k, counts[0][k], counts[1][k]) for k in kinds if counts[0][k] != counts[1][k]]
    return pd.DataFrame(rows, columns=["op_type", "a", "b"])
