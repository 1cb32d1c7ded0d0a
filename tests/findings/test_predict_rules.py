"""Rules about batches, dispatch and the call of predict on runs made by hand."""

import pytest
from runs_by_hand import kernel, layer, run
from runs_for_rules import (
    batches,
    both_settings,  # noqa: F401
    call,
    kinds,
    only,
)

from tftrace.findings import find
from tftrace.timeline.share_out import COMPILATION, EXECUTOR, PIPELINE

# --- dispatch and batches -------------------------------------------------------------------


def test_starting_kernels_for_longer_than_they_run_is_dispatch_bound() -> None:
    """1000 kernels in 2 ms are 2 us each; starting them took 3 ms."""
    ops = [kernel("a", "Mul", "m/cell", 1.5, calls=900), kernel("b", "Add", "m/head", 0.5, 100)]
    layers = [layer("m/cell", "LSTMCell", 1.5), layer("m/head", "Dense", 0.5)]
    finding = only(find(run(layers, ops, wall={EXECUTOR: 3.0})), "dispatch-bound small ops")
    assert "1,000 kernels of 2.0 us" in finding["text"]
    assert "900 of them are in cell" in finding["text"]
    assert "unroll" in finding["remedy"]


def test_large_kernels_are_not_dispatch_bound() -> None:
    ops = [kernel("a", "Conv2D", "m/conv", 2, calls=10)]
    found = find(run([layer("m/conv", "Conv2D", 2)], ops, wall={EXECUTOR: 3.0}))
    assert "dispatch-bound small ops" not in kinds(found)


def test_batches_that_are_mostly_overhead_are_too_small() -> None:
    """12 of 16 ms run nothing; one batch of 64 instead of eight saves 7/8 of them: 10.5 ms.

    64 samples x 1.25e6 MACs in 16 ms are 5 GMAC/s, a tenth of the peak.
    """
    finding = only(find(batches(0.5, macs=1_250_000)), "batch size too small")
    assert finding["saving_ms"] == pytest.approx(10.5)
    assert finding["evidence"]["peak_share"] == pytest.approx(0.1)
    assert finding["evidence"]["suggested"] == 64


def test_a_shortened_pass_suggests_what_the_whole_call_allows() -> None:
    """8 of 8,000 steps were traced: a batch of 64 = 8 x 8 is a remedy for all 64,000 samples, and
    1,000 batches instead of 8,000 save 7/8 of the 12 ms."""
    finding = only(
        find(batches(0.5, macs=1_250_000, samples=64, of_samples=64_000, of_steps=8_000)),
        "batch size too small",
    )
    assert finding["evidence"]["suggested"] == 64
    assert finding["saving_ms"] == pytest.approx(10.5)
    two = only(
        find(batches(0.5, macs=1_250_000, samples=16, of_samples=64_000, of_steps=8_000)),
        "batch size too small",
    )
    assert two["evidence"]["suggested"] == 64


def test_a_slow_end_is_measured_against_passes_that_do_not_wait() -> None:
    slow = call(30, 90, median_ms=160)
    slow.latency["without_autotuner"] = {"median_ms": 75.0}
    text = only(find(slow), "predict overhead")["text"]
    assert "Untraced passes took 160 ms, 75.0 without the wait" in text


@pytest.mark.parametrize(
    "profile",
    [
        batches(1.8, macs=1_250_000),  # busy batches
        batches(0.5, macs=10_000_000),  # 40 GMAC/s: little is left to gain
        batches(0.5, macs=1_250_000, samples=8),  # there is no more data
    ],
)
def test_batches_that_are_large_enough(profile) -> None:
    assert "batch size too small" not in kinds(find(profile))


# --- the call of predict --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("of_steps", "median_ms", "saving", "share"),
    [
        # 120 ms around 40 batches of 10 ms: 120 of 520.
        (40, None, 120, "23% of a call of all 40 steps"),
        # The untraced passes took 500: 100 beside the 400 in the batches, below a fifth of 520.
        (40, 500.0, None, None),
        # 120 ms around 4,000 ms in 400 batches.
        (400, None, None, None),
    ],
)
def test_a_shortened_pass_promises_nothing_that_comes_of_being_short(
    of_steps, median_ms, saving, share
) -> None:
    found = find(call(30, 90, median_ms=median_ms, of_steps=of_steps))
    if saving is None:
        assert "predict overhead" not in kinds(found)
    else:
        finding = only(found, "predict overhead")
        assert finding["saving_ms"] == saving
        assert share in finding["text"]
        assert finding["evidence"]["share"] == pytest.approx(120 / 520)


def test_a_call_that_is_mostly_before_and_after_its_batches() -> None:
    finding = only(find(call(30, 90)), "predict overhead")
    assert finding["saving_ms"] == 120
    assert "30.0 ms before the first batch and 90.0 ms after the last" in finding["text"]
    assert "by chance" in finding["cause"]


def test_no_more_overhead_is_promised_than_the_untraced_passes_have() -> None:
    """A median of 100 ms less 40 ms in the batches leaves 60, whatever the traced pass took."""
    assert only(find(call(30, 90, median_ms=100)), "predict overhead")["saving_ms"] == 60


@pytest.mark.parametrize("profile", [call(3, 3), call(30, 90, median_ms=41)])
def test_a_call_that_is_mostly_batches(profile) -> None:
    assert "predict overhead" not in kinds(find(profile))


def test_batches_that_wait_for_data() -> None:
    """The pipeline has 16 ms more than there is around the batches; 3 x 4 ms can be waiting."""
    finding = only(find(call(1, 1)), "input pipeline bound")
    assert finding["evidence"]["waiting_ms"] == pytest.approx(12)


def test_a_pipeline_that_only_sets_up_does_not_bind() -> None:
    assert "input pipeline bound" not in kinds(find(call(1, 1, **{PIPELINE: 5.0})))


def stage(name: str, active: float, depth: int, dataset: str = "d", parallelism: int = 1):
    """A stage that was at work for so many ms, of 100 elements."""
    return {
        "stage": name,
        "path": name,
        "dataset": dataset,
        "depth": depth,
        "calls": 100,
        "busy_ms": active,
        "us_per_element": 10 * active,
        "active_ms": active,
        "wait_ms": 0.0,
        "parallelism": parallelism,
        "note": None,
    }


@pytest.mark.parametrize(
    ("stages", "named", "remedy", "prefetched"),
    [
        ([("Map", 12, 1), ("Batch", 3, 0)], "Map", ".map(f, num_parallel_calls", False),
        ([("Map", 2, 2), ("Batch", 9, 1), ("Prefetch", 1, 0)], "Batch", ".batch(n, num_", True),
        ([("Generator", 9, 1), ("FlatMap", 1, 0)], "Generator", "workers=", False),
        ([("ParallelMap", 9, 0, "d", 2)], "ParallelMap", "at most 2 of 4 processors", False),
        ([("ParallelMap", 9, 0, "d", 4)], "ParallelMap", "make it cheaper", False),
        ([("CSV", 9, 0)], "CSV", "do it once", False),
    ],
)
def test_the_stage_that_batches_wait_for_is_named(stages, named, remedy, prefetched) -> None:
    profile = call(1, 1, stages=[stage(*row) for row in stages])
    profile.machine["usable_cores"] = 4
    finding = only(find(profile), "input pipeline bound")
    assert finding["evidence"]["stage"] == named
    assert remedy in finding["remedy"]
    assert ("prefetch(" not in finding["remedy"]) == prefetched
    busy = max(row[1] for row in stages)
    assert finding["evidence"]["us_per_element"] == 10 * busy
    assert "us for each of 100 elements" in finding["text"]
    assert "arrays" not in finding["cause"]


def test_a_pipeline_of_the_users_own_that_keeps_up_is_no_finding() -> None:
    profile = call(1, 1, stages=[stage("Map", 30, 0)], **{PIPELINE: 5.0})
    assert "input pipeline bound" not in kinds(find(profile))


def test_waiting_for_the_users_pipeline_is_not_what_a_larger_batch_saves() -> None:
    """12 of the 16 ms without kernels wait for data: a quarter of the 40 ms is left of the rest."""
    kind = "batch size too small"
    assert kind in kinds(find(call(1, 1, samples=128)))
    assert kind not in kinds(find(call(1, 1, samples=128, stages=[stage("Map", 30, 0)])))


def test_a_command_never_names_a_file_that_cannot_be_written() -> None:
    from tftrace.findings.basis.commands import FOLD, TRY_XLA, complete

    own = {"own_batches": True, "batch_size": 20, "jit": False}
    assert complete(TRY_XLA, own) is None
    assert complete(FOLD, own) == "tftrace fold model.keras -o folded.keras"


def test_compiling_in_the_window_is_said_and_counted() -> None:
    finding = only(find(call(1, 1, **{COMPILATION: 50.0})), "compilation in the window")
    assert finding["saving_ms"] == 50
    assert "compilation in the window" not in kinds(find(call(1, 1)))
