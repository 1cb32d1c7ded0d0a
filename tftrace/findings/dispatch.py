"""Time that goes into starting kernels and batches, not into running them."""

from __future__ import annotations

from collections.abc import Iterator

from tftrace.attribution.rows import LAYERS
from tftrace.findings.basis.commands import TRY_XLA, batch_size
from tftrace.findings.basis.evidence import Evidence
from tftrace.findings.basis.figures import (
    call_times,
    component_ms,
    idle_ms,
    layers_ms,
    name_of,
    waited_ms,
)
from tftrace.findings.registry import Finding, finding, finding_of_fit
from tftrace.graph.phases import OPTIMIZER
from tftrace.tables.frame import total
from tftrace.text import ms_text
from tftrace.timeline.share_out import EXECUTOR

_MIN_EXECUTOR = 0.3
_SMALL_KERNEL_US = 50.0
_MIN_FIXED = 0.4
_FAR_BELOW_PEAK = 0.3
_LARGER = 8


@finding
def dispatch_bound(profile: Evidence) -> Iterator[Finding]:
    """Many tiny kernels: the executor needs about as long to start them as they run."""
    ops = profile.ops[profile.ops["component"] == LAYERS]
    executor, running = component_ms(profile, EXECUTOR), layers_ms(profile)
    runs = ops["expected_calls"].fillna(ops["calls"])
    recorded, expected = int(ops["calls"].sum()), int(runs.sum())
    if not recorded or executor < _MIN_EXECUTOR * (executor + running):
        return
    mean_us = 1e3 * running / recorded
    if mean_us > _SMALL_KERNEL_US:
        return
    by_layer = runs.groupby(ops["layer"]).sum().sort_values(ascending=False)
    busiest, most = str(by_layer.index[0]), int(by_layer.iloc[0])
    batches = max(1, len(profile.steps))
    looped = bool((runs > 2 * batches).any())
    yield Finding(
        layer=None,
        kind="dispatch-bound small ops",
        text=(
            f"{expected:,} kernels of {mean_us:.1f} us on average: starting them took "
            f"{ms_text(executor)} ms beside {ms_text(running)} ms in the layers; "
            f"{most:,} of them are in {name_of(profile, busiest)}."
        ),
        cause=(
            "The executor's cost per kernel is the same for a small one as for a large one"
            + (", and a loop pays it on every turn." if looped else ".")
        ),
        remedy=(
            "more samples per batch make each kernel larger; XLA makes fewer of them"
            + ("; unroll=True spares a short RNN its loop" if looped else "")
        ),
        command=TRY_XLA,
        evidence={
            "ms": executor,
            "executor_ms": executor,
            "layers_ms": running,
            "kernels": expected,
            "mean_us": mean_us,
            "busiest": busiest,
            "busiest_kernels": most,
        },
    )


@finding
def batch_too_small(profile: Evidence) -> Iterator[Finding]:
    """What a batch costs whatever its size outweighs the work in it."""
    times = call_times(profile)
    samples, size = profile.run["trace"]["samples"], profile.run["batch_size"]
    if times is None or samples is None or samples <= size:
        return
    own = bool(profile.run.get("own_batches"))
    fixed = times.fixed
    if own:
        # What waits for a pipeline of the user's own does so for any size of batch, and the first
        # batch for more than one of its elements.
        fixed = max(0.0, idle_ms(profile) - max(0.0, waited_ms(profile, times)))
    if fixed < _MIN_FIXED * times.batches:
        return
    rate = _rate_of_peak(profile, times.batches)
    if rate is not None and rate > _FAR_BELOW_PEAK:
        return
    # A shortened pass has few samples; the batches to be had are those of the whole call.
    whole = profile.run["samples"]
    larger = min(whole, _LARGER * size)
    saving = fixed * (1 - -(-whole // larger) / -(-whole // size))
    reached = "" if rate is None else f" They reach {rate:.1%} of this machine's peak."
    yield Finding(
        layer=None,
        kind="batch size too small",
        text=(
            f"In {times.count:,} batches of {size}, {ms_text(fixed)} of "
            f"{ms_text(times.batches)} ms ({fixed / times.batches:.0%}) ran no kernel of "
            f"the model.{reached}"
        ),
        cause="Every batch costs the same for its call, whatever its size.",
        remedy=f"a larger batch, say {larger}" + (" samples in the pipeline" if own else ""),
        command=None if own else batch_size(larger),
        saving_ms=saving,
        evidence={
            "ms": fixed,
            "batches": times.count,
            "fixed_ms": fixed,
            "fixed_share": fixed / times.batches,
            "peak_share": rate,
            "batch_size": size,
            "suggested": larger,
        },
        sure="modelled",
    )


@finding_of_fit
def batch_too_small_to_train(profile: Evidence) -> Iterator[Finding]:
    """What a step costs whatever its size, its updates too, outweighs what its samples cost."""
    times = call_times(profile)
    samples, size = profile.run["trace"]["samples"], profile.run["batch_size"]
    if times is None or samples is None or samples <= size or not times.batches:
        return
    ops = profile.ops
    updates = float(ops.loc[ops["phase"] == OPTIMIZER, "wall_ms"].sum())
    idle = max(0.0, idle_ms(profile) - max(0.0, waited_ms(profile, times)))
    fixed = idle + updates
    if fixed < _MIN_FIXED * times.batches:
        return
    each = times.count
    per_sample = max(0.0, times.batches - fixed) / samples
    yield Finding(
        layer=None,
        kind="batch size too small",
        text=(
            f"Of a step of {ms_text(times.batches / each)} ms, {ms_text(fixed / each)} ms "
            f"({fixed / times.batches:.0%}) do not depend on its {size} samples: "
            f"{ms_text(updates / each)} ms of updates, {ms_text(idle / each)} ms without a kernel "
            f"of the model. A sample more costs {ms_text(per_sample)} ms."
        ),
        cause="Every step updates each weight once, and costs the same for its call.",
        remedy=(
            f"a larger batch, say {min(profile.run['samples'], _LARGER * size)}, with a learning "
            "rate for it: the steps are then fewer, and so are the updates"
        ),
        evidence={
            "ms": fixed,
            "updates_ms": updates,
            "idle_ms": idle,
            "fixed_share": fixed / times.batches,
            "sample_ms": per_sample,
            "batch_size": size,
        },
    )


def _rate_of_peak(profile: Evidence, batches_ms: float) -> float | None:
    """Multiply-accumulates per second in the batches over the machine's highest rate; None when
    one of them is unknown."""
    if profile.roofs is None:
        return None
    macs = total(profile.layers["macs"])
    if macs is None:
        return None
    per_second = macs * profile.run["trace"]["samples"] / (batches_ms / 1e3)
    return per_second / (1e9 * profile.roofs.peak_gmacs())
