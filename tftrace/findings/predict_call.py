"""What `predict` costs around the model: the call itself, late tracing."""

from __future__ import annotations

from collections.abc import Iterator

from tftrace.findings.basis.commands import TRY_ALL
from tftrace.findings.basis.evidence import Evidence
from tftrace.findings.basis.figures import (
    CallTimes,
    call_times,
    component_ms,
    steps_per_traced_step,
)
from tftrace.findings.registry import Finding, finding
from tftrace.text import ms_text
from tftrace.timeline.share_out import COMPILATION, DISPATCH, LOOP, PIPELINE

_MIN_AROUND = 0.2
_SLOW_END_MS = 50.0

# Measured (TensorFlow 2.21, two cores): predict of 5,000 images took 1,347, 781 and 775 ms on
# arrays, 739, 698 and 727 ms on a dataset without autotuning; ends gather at 0.35, 0.7 and 1.35 s.
_SLOW_END = (
    " Taking it down waits, by chance, for tf.data's autotuner, which sleeps 10, 20, 40, … ms: the "
    "call then ends only at about 0.3, 0.65 or 1.3 s, and seems to take twice as long."
)


@finding
def predict_overhead(profile: Evidence) -> Iterator[Finding]:
    """A large part of the call is spent before the first batch and after the last."""
    times = call_times(profile)
    if times is None or profile.run.get("call", "predict") != "predict":
        return
    # What comes once per call weighs less in the whole call than in a shortened pass.
    batches = times.batches * steps_per_traced_step(profile)
    saving, share = _removable(profile, times, batches), times.around / (times.around + batches)
    if saving < _MIN_AROUND * (times.around + batches):
        return
    whole = profile.run["trace"]["whole"] is not False
    call = "the call" if whole else f"a call of all {profile.run['steps']:,} steps"
    parts = {name: component_ms(profile, name) for name in (PIPELINE, LOOP, DISPATCH)}
    slow_end = times.after > _SLOW_END_MS
    yield Finding(
        layer=None,
        kind="predict overhead",
        text=(
            f"predict spent {ms_text(times.before)} ms before the first batch and "
            f"{ms_text(times.after)} ms after the last, {share:.0%} of {call}; "
            f"{PIPELINE} {ms_text(parts[PIPELINE])}, {LOOP} {ms_text(parts[LOOP])}, "
            f"{DISPATCH} {ms_text(parts[DISPATCH])} ms in all."
            + (_without_wait(profile) if slow_end else "")
        ),
        cause=(
            "Each call of predict builds a tf.data pipeline and takes it down again, whatever "
            "the number of samples." + (_SLOW_END if slow_end else "")
        ),
        remedy=(
            "call the model itself: f = tf.function(model), then f(batch) on slices of the data; "
            "or predict a tf.data.Dataset with options.autotune.enabled = False"
        ),
        command=TRY_ALL,
        saving_ms=saving,
        evidence={
            "ms": times.around,
            "before_ms": times.before,
            "after_ms": times.after,
            "share": share,
            **{f"{name} ms": ms for name, ms in parts.items()},
        },
        sure="measured",
    )


def _without_wait(profile: Evidence) -> str:
    steady = profile.latency.get("without_autotuner")
    if steady is None:
        return ""
    return (
        f" Untraced passes took {ms_text(profile.latency['median_ms'])} ms, "
        f"{ms_text(steady['median_ms'])} without the wait for tf.data at their end."
    )


def _removable(profile: Evidence, times: CallTimes, batches: float) -> float:
    """What comes once per call; no more of it than the untraced passes show, if there are any.

    ``batches`` is the time in all batches of the whole call, ms.
    """
    median = profile.latency["median_ms"]
    return times.around if median is None else min(times.around, max(0.0, median - batches))


@finding
def compiled_in_window(profile: Evidence) -> Iterator[Finding]:
    """A graph was traced or compiled while it was measured."""
    spent = component_ms(profile, COMPILATION)
    if spent <= 0:
        return
    total = float(profile.wall["wall_ms"].sum())
    xla = bool(profile.run["jit"])
    yield Finding(
        layer=None,
        kind="compilation in the window",
        text=(
            f"{ms_text(spent)} ms of the measured {ms_text(total)} ms ({spent / total:.1%}) went "
            f"into {'compiling' if xla else 'tracing'} a graph."
        ),
        cause=(
            "A batch of a shape that was not seen before is "
            + ("compiled anew by XLA." if xla else "traced anew.")
            + " The last, smaller batch is such a shape, and so is every new sequence length."
        ),
        remedy=(
            "pad the data to whole batches (and a few fixed lengths), and run predict once on "
            "every shape before it counts"
        ),
        saving_ms=spent,
        evidence={"ms": spent, "share": spent / total, "xla": xla},
        sure="measured",
    )
