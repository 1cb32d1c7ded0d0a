"""The machine model's arithmetic on numbers made by hand, and one real, small calibration."""

import json
import os
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tftrace.machine.bench.grid import sample_kernels
from tftrace.machine.bench.timing import Measured, measure_seconds, pooled, rate, summarize
from tftrace.machine.bench.windows import windowed
from tftrace.machine.calibrate import (
    cache_name,
    cached,
    calibrate,
    warnings_about,
)
from tftrace.machine.fits import KernelFit, fit_kernels, fit_key
from tftrace.machine.kernels import KernelWork
from tftrace.machine.model import CallCost, MachineModel
from tftrace.machine.setting import Setting
from tftrace.tracer.setting import setting


def steady(value: float) -> Measured:
    return Measured(best=value, median=value, iqr=0.0, n=5)


def machine(**changes: Any) -> MachineModel:
    """50 GMAC/s; 100 GB/s up to 1 KB, falling to 10 GB/s at 1 MB; 2 us per operation."""
    values: dict[str, Any] = {
        "machine": "made by hand",
        "tensorflow": "0",
        "threads": (0, 0),
        "matmul_gmacs": {"float32": steady(40.0), "float64": steady(20.0)},
        "conv_gmacs": steady(50.0),
        "bandwidth_gb": ((1_000, steady(100.0)), (1_000_000, steady(10.0))),
        "dispatch_us": steady(2.0),
        "predict_batch_ms": steady(1.0),
        "predict_call_ms": steady(30.0),
    }
    return MachineModel(**(values | changes))


def test_peak_is_the_better_of_matmul_and_convolution() -> None:
    assert machine().peak_gmacs("float32") == 50.0
    assert machine(conv_gmacs=steady(5.0)).peak_gmacs() == 40.0
    assert machine().peak_gmacs("float64") == 20.0


def test_unmeasured_dtype_is_refused() -> None:
    with pytest.raises(ValueError, match="int8; measured: float32, float64"):
        machine().peak_gmacs("int8")


@pytest.mark.parametrize(
    ("size", "gigabytes"),
    [
        (1, 100.0),
        (1_000, 100.0),
        # 1e3 to 1e6 spans three decades: one decade up is a third of the way down from 100 to 10
        (10_000, 70.0),
        (100_000, 40.0),
        (1_000_000, 10.0),
        (1e12, 10.0),
    ],
)
def test_bandwidth_is_linear_in_the_logarithm_of_the_size(size: float, gigabytes: float) -> None:
    assert machine().bandwidth(size) == pytest.approx(gigabytes * 1e9)


def test_roofline_is_the_longer_of_the_two_plus_dispatch() -> None:
    # 5e9 macs at 50e9/s: 100 ms. 1e6 bytes at 10e9/s: 0.1 ms. 3 operations: 6 us.
    assert machine().roofline_seconds(5e9, 1e6, 3) == pytest.approx(0.100006)
    # No macs: 0.1 ms of traffic.
    assert machine().roofline_seconds(0, 1e6, 0) == pytest.approx(1e-4)
    # float64 at 20e9/s
    assert machine().roofline_seconds(2e9, 0, 0, "float64") == pytest.approx(0.1)


def test_bound_names_what_takes_longest() -> None:
    assert machine().bound(5e9, 1e6, 1) == "compute"
    assert machine().bound(1e6, 1e6, 1) == "memory"  # 20 us against 100 us
    assert machine().bound(1e4, 1e3, 1) == "overhead"  # 0.2 us, 10 ns, 2 us
    assert machine().bound(1e6, 1e6, 60) == "overhead"


def test_model_survives_json() -> None:
    fit = KernelFit(prices={"macs": 1e-11, "calls": 2e-6}, threshold=0.0, spread=0.2, n=9)
    model = machine(
        kernels={"Conv2D": fit}, warnings=("busy",), onednn=True, instruction_sets=("avx2", "fma")
    )
    assert MachineModel.from_dict(json.loads(json.dumps(model.to_dict()))) == model


def test_a_model_written_before_it_said_its_setting_still_opens() -> None:
    data = machine().to_dict()
    for key in ("onednn", "instruction_sets", "instruction_limit"):
        del data[key]
    assert MachineModel.from_dict(data).onednn is None


def test_model_of_another_schema_is_refused() -> None:
    with pytest.raises(ValueError, match="schema 99"):
        MachineModel.from_dict(machine().to_dict() | {"schema": 99})


def test_reading_a_model_needs_no_tensorflow() -> None:
    code = (
        "import sys, tftrace.machine.model, tftrace.machine.calibrate, tftrace.estimation.kernels;"
        "sys.exit('tensorflow' in sys.modules or 'keras' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_summary_has_quartiles_and_the_best() -> None:
    # sorted 1 2 3 4 5: quartiles at 2 and 4
    summary = summarize([5.0, 1.0, 4.0, 2.0, 3.0], best=min)
    assert summary == Measured(best=1.0, median=3.0, iqr=2.0, n=5)
    assert summary.noisy
    assert not steady(3.0).noisy


def test_rounds_that_disagree_are_one_measurement_with_a_wide_spread() -> None:
    rounds = [Measured(best=9, median=10, iqr=1, n=5), Measured(best=12, median=14, iqr=2, n=4)]
    assert pooled(rounds) == Measured(best=9, median=12, iqr=4, n=9)
    assert pooled(rounds[:1] * 3) == Measured(best=9, median=10, iqr=1, n=15)


def test_one_round_of_several_that_was_disturbed_is_no_spread_of_all() -> None:
    """Medians 10, 10, 11, 12 and 90: quartiles at 10 and 12."""
    rounds = [Measured(best=9, median=median, iqr=1, n=5) for median in (10, 11, 90, 10, 12)]
    assert pooled(rounds) == Measured(best=9, median=11, iqr=2, n=25)


def test_summary_of_one_value_is_refused() -> None:
    with pytest.raises(ValueError, match="at least two"):
        summarize([1.0], best=min)


def test_rate_turns_the_shortest_time_into_the_highest_rate() -> None:
    times = Measured(best=0.5, median=1.0, iqr=0.2, n=7)
    assert rate(10.0, times) == Measured(best=20.0, median=10.0, iqr=2.0, n=7)


def test_measuring_calls_often_enough_for_the_clock() -> None:
    calls = []
    measured = measure_seconds(lambda: calls.append(None), repeats=3, at_least=1e-4)
    assert measured.n == 3
    assert len(calls) > 3 * 10
    assert 0 < measured.best <= measured.median


def test_a_noisy_measurement_is_named() -> None:
    noisy = Measured(best=1.0, median=2.0, iqr=1.0, n=7)
    (warning,) = warnings_about({"steady one": steady(1.0), "shaky one": noisy})
    assert "shaky one" in warning
    assert "50 %" in warning


def test_work_of_a_convolution_window() -> None:
    work = windowed("Conv2D", 2, 4, 3, 5, (3, 1), 2)
    assert work.macs == 2 * 4 * 4 * 5 * (3 * 1 * 3)
    # input: 2 x (2*3+3) x (2*3+1) x 3, kernel 3 x 1 x 3 x 5
    assert work.bytes_in == 4 * (2 * 9 * 7 * 3 + 3 * 1 * 3 * 5)
    assert work.bytes_out == 4 * 2 * 4 * 4 * 5
    assert (work.rows, work.window, work.stride) == (32, 3, 4)


def test_work_of_a_depthwise_window() -> None:
    work = windowed("DepthwiseConv2dNative", 1, 4, 6, 6, (3, 3), 1)
    assert work.macs == 4 * 4 * 6 * 9
    assert work.bytes_in == 4 * (6 * 6 * 6 + 9 * 6)


def test_work_of_a_convolution_in_groups() -> None:
    work = windowed("Conv2D", 1, 4, 6, 9, (3, 3), 1, groups=3)
    # Each of the 9 filters sees 6 / 3 channels.
    assert work.macs == 4 * 4 * 9 * (3 * 3 * 2)
    assert work.bytes_in == 4 * (6 * 6 * 6 + 3 * 3 * 2 * 9)


def test_a_convolution_in_groups_has_a_fit_of_its_own() -> None:
    grouped = KernelWork("Conv2D", cin=8, cout=8, groups=4)
    assert fit_key(grouped) != fit_key(KernelWork("Conv2D", cin=8, cout=8))
    # A depthwise kernel is what its name says, whatever its groups.
    assert fit_key(KernelWork("DepthwiseConv2dNative", groups=8)) == "DepthwiseConv2dNative"


def test_fit_recovers_known_prices() -> None:
    samples = []
    for rows in (1, 3, 10, 40, 100):
        for inner, outer in ((16, 512), (512, 16), (300, 300)):
            macs = rows * inner * outer
            work = KernelWork("MatMul", macs=macs, batch=rows, cin=inner, cout=outer)
            samples.append((work, 2e-11 * macs + 3e-10 * inner * outer + 1e-5))
    fit = fit_kernels(samples)["MatMul"]
    assert fit.prices["macs"] == pytest.approx(2e-11, rel=0.02)
    assert fit.prices["right"] == pytest.approx(3e-10, rel=0.02)
    assert fit.prices["calls"] == pytest.approx(1e-5, rel=0.02)
    assert fit.spread < 0.01
    assert fit.n == 15
    unseen = KernelWork("MatMul", macs=7 * 64 * 64, batch=7, cin=64, cout=64)
    expected = 2e-11 * 7 * 64 * 64 + 3e-10 * 64 * 64 + 1e-5
    assert fit.seconds(unseen) == pytest.approx(expected, rel=0.02)


def test_fit_finds_where_threads_begin() -> None:
    def seconds(size: int) -> float:
        return 1e-11 * size if size < 8e5 else 6e-5 + 1e-11 * size

    sizes = [100_000 * step for step in range(1, 31)]
    works = [KernelWork("Relu", bytes_in=size // 2, bytes_out=size // 2) for size in sizes]
    fit = fit_kernels((work, seconds(work.bytes)) for work in works)["Relu"]
    assert fit.threshold == 8e5
    assert fit.prices["threaded_calls"] == pytest.approx(6e-5, rel=0.05)


def test_prices_are_never_negative() -> None:
    # Time falls with size, which no sum of costs can say.
    works = [KernelWork("Relu", bytes_in=1000 * step) for step in range(1, 20)]
    fit = fit_kernels((work, 1.0 / work.bytes) for work in works)["Relu"]
    assert min(fit.prices.values()) >= 0


def test_too_few_samples_make_no_fit() -> None:
    works = [KernelWork("Relu", bytes_in=1000 * step) for step in range(1, 8)]
    assert fit_kernels((work, 1e-5) for work in works) == {}


def test_broadcasting_has_a_fit_of_its_own() -> None:
    assert fit_key(KernelWork("Mul", broadcast=True)) != fit_key(KernelWork("Mul"))


def here(**changes: Any) -> Setting:
    values: dict[str, Any] = {
        "cpu": "a",
        "cores": 2,
        "instruction_sets": ("avx2",),
        "instruction_limit": None,
        "onednn": False,
        "allocator": "cpu",
        "tensorflow": "1",
        "threads": (0, 0),
    }
    return Setting(**(values | changes))


@pytest.mark.parametrize(
    "change",
    [
        {"cpu": "b"},
        {"cores": 4},
        {"instruction_sets": ("avx2", "avx512f")},
        {"instruction_limit": "AVX2"},
        {"onednn": True},
        {"onednn": None},
        {"tensorflow": "2"},
        {"threads": (1, 0)},
        {"threads": (0, 1)},
    ],
)
def test_cache_tells_settings_apart(change: dict[str, Any]) -> None:
    assert cache_name(here(**change)) != cache_name(here())


def test_a_run_takes_no_calibration_of_another_setting(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Measured with oneDNN off, it is not known with oneDNN on."""
    from tftrace.machine import calibrate as module

    monkeypatch.setenv("TFTRACE_CACHE_DIR", str(tmp_path))
    measured: list[Setting] = []

    def measure(found: Setting, full: bool) -> MachineModel:
        measured.append(found)
        return machine(onednn=found.onednn)

    monkeypatch.setattr(module, "_measure", measure)
    for onednn in (False, True, False):
        assert calibrate(here(onednn=onednn)).onednn is onednn
    assert [found.onednn for found in measured] == [False, True]


DAMAGES: dict[str, Any] = {
    "empty": lambda path: path.write_bytes(b""),
    "truncated": lambda path: path.write_bytes(path.read_bytes()[:100]),
    "not text": lambda path: path.write_bytes(bytes(range(256))),
    "a list": lambda path: path.write_text("[1, 2]"),
    "deep": lambda path: path.write_text("[" * 100_000),
    "a field missing": lambda path: path.write_text('{"schema": 2}'),
    "another schema": lambda path: path.write_text('{"schema": 99}'),
    "no number": lambda path: path.write_text(
        path.read_text().replace('"best": 5.0', '"best": []')
    ),
    "not finite": lambda path: path.write_text(
        path.read_text().replace('"best": 5.0', '"best": NaN')
    ),
    "a folder": lambda path: (path.unlink(), path.mkdir()),
    "a pipe": lambda path: (path.unlink(), os.mkfifo(path, 0o600)),
    "a link": lambda path: (path.rename(path.with_name("x")), path.symlink_to(path.with_name("x"))),
    "of everybody": lambda path: path.chmod(0o666),
    "in a folder of everybody": lambda path: path.parent.chmod(0o777),
}


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A cache folder of one's own, and calibration that takes no time; the file it is kept in."""
    from tftrace import cache
    from tftrace.machine import calibrate as module

    cache.warn_once.cache_clear()
    monkeypatch.setenv("TFTRACE_CACHE_DIR", str(tmp_path / "own"))
    model = machine(dispatch_us=steady(5.0))
    monkeypatch.setattr(module, "_measure", lambda setting, full: model)
    return tmp_path / "own" / cache_name(here())


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_machine_cache_is_worth_one_warning(
    fake: Path, caplog: pytest.LogCaptureFixture, damage: str
) -> None:
    model = calibrate(here())
    assert cached(here()) == model
    assert not caplog.records
    DAMAGES[damage](fake)
    assert cached(here()) is None
    assert calibrate(here()) == model
    messages = [record.message for record in caplog.records if "not used" in record.message]
    assert len(messages) == 1


@pytest.mark.parametrize("damage", ["empty", "no number", "a link", "of everybody"])
def test_a_damaged_machine_cache_is_written_anew(fake: Path, damage: str) -> None:
    model = calibrate(here())
    DAMAGES[damage](fake)
    calibrate(here())
    assert cached(here()) == model
    assert not fake.is_symlink()


def test_measurements_that_cannot_be_kept_are_not_lost(
    fake: Path, caplog: pytest.LogCaptureFixture
) -> None:
    fake.parent.touch()  # a file where the folder should be
    assert calibrate(here()).dispatch_us.best == 5.0
    assert "not kept" in caplog.text


def test_the_machine_cache_is_private_and_nothing_else_is_left(fake: Path) -> None:
    calibrate(here())
    modes = [stat.S_IMODE(path.stat().st_mode) for path in (fake, fake.parent)]
    assert modes == [0o600, 0o700]
    assert list(fake.parent.iterdir()) == [fake]


def test_the_cost_of_a_call_has_no_batch_in_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """32 ms for two batches and 96 ms for 66 are 1 ms per batch and 30 ms beside the batches."""
    from tftrace.machine.bench import calls

    seconds = iter((0.032, 0.096))
    monkeypatch.setattr(calls, "measure_seconds", lambda run, **_: steady(next(seconds)))
    per_batch, per_call = calls.predict_ms()
    assert per_batch.best == pytest.approx(1.0)
    assert per_call.best == pytest.approx(30.0)


def test_a_variable_costs_what_many_cost_more_than_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """64 batches take 64 ms more than two with one variable, 223.2 ms more with 200: 3.4875 ms and
    1 ms a batch are 12.5 us for each of 199."""
    from tftrace.machine.bench import calls

    seconds = iter((0.01, 0.074, 0.02, 0.2432))
    monkeypatch.setattr(calls, "measure_seconds", lambda run, **_: steady(next(seconds)))
    assert calls.predict_variable_us().median == pytest.approx(12.5)


def test_rounds_of_calls_are_one_cost() -> None:
    """30, 70 and 50 ms: 50 in the middle, quartiles at 40 and 60."""
    calls = [(steady(1.0), steady(30.0)), (steady(2.0), steady(70.0)), (steady(3.0), steady(50.0))]
    cost = CallCost.of(calls)
    assert (cost.batch_ms.median, cost.call_ms.median, cost.call_ms.iqr) == (2.0, 50.0, 20.0)
    assert machine().predict_cost == CallCost(steady(1.0), steady(30.0))


def test_what_onednn_says_of_its_16_bit_types_is_not_shown() -> None:
    """A processor without AVX-512 makes it write a line at the first product."""
    code = (
        "from tftrace.tracer.quiet import start_quietly; start_quietly()\n"
        "from tftrace.machine.bench.peaks import matmul_gmacs\n"
        "assert matmul_gmacs()['float16'].best > 0"
    )
    # As a user's: a log level of the tests would hide it.
    own = {name: value for name, value in os.environ.items() if not name.startswith("TF_CPP")}
    told = subprocess.run(
        [sys.executable, "-c", code],
        env={**own, "TF_ENABLE_ONEDNN_OPTS": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert told.stderr == ""


def test_real_calibration_is_plausible_and_cached(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("TFTRACE_CACHE_DIR", str(tmp_path))
    model = calibrate(setting())
    assert model.peak_gmacs() > 0.1
    assert model.dispatch_us.best > 0
    assert model.predict_call_ms.best > model.predict_batch_ms.best > 0
    assert model.predict_variable_us is not None
    assert 0 < model.predict_variable_us.median < 1000
    sizes = [size for size, _ in model.bandwidth_gb]
    assert (sizes[0], sizes[-1]) == (16 * 1024, 256 * 1024 * 1024)
    assert all(measured.best > 0.01 for _, measured in model.bandwidth_gb)
    assert len(list(tmp_path.iterdir())) == 1
    assert calibrate(setting()) == model


def test_every_family_can_be_sampled() -> None:
    samples = list(sample_kernels(scale=0.01))
    types = {sample.work.op_type for sample in samples}
    assert {"Conv2D", "DepthwiseConv2dNative", "MatMul", "MaxPool", "AvgPool", "Pad"} <= types
    assert "Conv2D, grouped" in {fit_key(sample.work) for sample in samples}
    assert {"ConcatV2", "Transpose", "Mean", "Softmax", "Mul", "AddV2", "Relu", "Tanh"} <= types
    assert all(sample.work.bytes > 0 for sample in samples)
    assert sum(sample.seconds > 0 for sample in samples) > len(samples) / 2
