"""What is said of a machine that did something else, from counters made by hand."""

import os
from dataclasses import replace

from tftrace.tracer.noise import Load, load, noise

QUIET = Load(busy=100.0, stolen=1.0, own=50.0, mhz=3000.0, at=10.0)


def after(seconds: float, **more: float) -> Load:
    """``seconds`` later, with 2 processors of this process's own work, and ``more``."""
    passed = {"busy": 2 * seconds, "own": 2 * seconds, "at": seconds}
    for name, value in more.items():
        passed[name] = passed.get(name, 0.0) + value
    return replace(QUIET, **{name: getattr(QUIET, name) + v for name, v in passed.items()})


def test_a_quiet_machine_is_told_from_one_that_tells_nothing():
    assert noise(QUIET, after(10)) == []
    assert noise(None, after(10)) is None
    assert noise(QUIET, None) is None


def test_each_kind_of_noise_is_named_with_its_amount():
    # 5 seconds of others' work in 10 are half a processor; 0.4 stolen are 0.04.
    assert noise(QUIET, after(10, busy=5)) == ["other programs used 0.5 processors"]
    (stolen,) = noise(QUIET, after(10, stolen=0.4))
    assert "0.04 processors (steal time)" in stolen
    assert noise(QUIET, after(10, mhz=-1000)) == [
        "the processors' clock went from 3000 to 2000 MHz"
    ]
    assert noise(QUIET, after(10, busy=1, stolen=0.05, mhz=100)) == []


def test_the_systems_counters_are_read(tmp_path):
    tick = os.sysconf("SC_CLK_TCK")
    numbers = " ".join(str(n * tick) for n in (1, 2, 3, 100, 200, 4, 5, 6, 0, 0))
    (tmp_path / "stat").write_text(f"cpu  {numbers}\ncpu0 {numbers}\n")
    for cpu, khz in (("cpu0", 2_000_000), ("cpu1", 3_000_000)):
        (tmp_path / cpu / "cpufreq").mkdir(parents=True)
        (tmp_path / cpu / "cpufreq" / "scaling_cur_freq").write_text(f"{khz}\n")
    found = load(tmp_path, tmp_path)
    assert (found.busy, found.stolen, found.mhz) == (15.0, 6.0, 2500.0)
    (tmp_path / "stat").write_text("cpu\n")
    assert load(tmp_path, tmp_path) is None
    assert load(tmp_path / "none") is None
