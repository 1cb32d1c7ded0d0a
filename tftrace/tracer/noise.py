"""What else this machine did while something was measured on it, as Linux tells."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path

_PROC = Path("/proc")
_FREQUENCIES = Path("/sys/devices/system/cpu")
_STEAL = 0.01
_OTHERS = 0.2
_FREQUENCY = 0.1


@dataclass(frozen=True)
class Load:
    """Seconds of all processors together since the machine started, of which stolen by other
    virtual machines; what this process (and what it waited for) had of them; MHz; the time."""

    busy: float
    stolen: float
    own: float
    mhz: float | None
    at: float


def load(proc: Path = _PROC, frequencies: Path = _FREQUENCIES) -> Load | None:
    """The counters as they are now; None where the system has none."""
    try:
        first = (proc / "stat").read_text().splitlines()[0].split()
        ticks = [int(each) / os.sysconf("SC_CLK_TCK") for each in first[1:9]]
        user, nice, system, _, _, irq, softirq, steal = ticks
    except (OSError, ValueError, IndexError, AttributeError):
        return None
    own = os.times()
    return Load(
        busy=user + nice + system + irq + softirq,
        stolen=steal,
        own=sum(own[:4]),
        mhz=_mhz(frequencies),
        at=time.monotonic(),
    )


def noise(before: Load | None, after: Load | None) -> list[str] | None:
    """What may have made the times between the two longer; None where nothing is known."""
    if before is None or after is None:
        return None
    seconds = max(after.at - before.at, 1e-9)
    others = (after.busy - before.busy - (after.own - before.own)) / seconds
    stolen = (after.stolen - before.stolen) / seconds
    found = []
    if others > _OTHERS:
        found.append(f"other programs used {others:.1f} processors")
    if stolen > _STEAL:
        found.append(f"other virtual machines took {stolen:.2f} processors (steal time)")
    if before.mhz and after.mhz and abs(after.mhz / before.mhz - 1) > _FREQUENCY:
        found.append(f"the processors' clock went from {before.mhz:.0f} to {after.mhz:.0f} MHz")
    return found


def _mhz(folder: Path) -> float | None:
    """Mean over the processors; None where the system does not tell, as on most virtual ones."""
    try:
        files = list(folder.glob("cpu[0-9]*/cpufreq/scaling_cur_freq"))
        return sum(int(each.read_text()) for each in files) / len(files) / 1e3 if files else None
    except (OSError, ValueError):
        return None
