"""The roofline plot as SVG: what each layer reaches, under what the machine could do."""

from __future__ import annotations

import math
from dataclasses import dataclass
from html import escape

import pandas as pd

from tftrace.machine.model import MachineModel
from tftrace.text import ms_text, share_text

_WIDTH, _HEIGHT = 860, 430
_LEFT, _RIGHT, _TOP, _BOTTOM = 70, 20, 30, 50
_LARGEST_RADIUS, _SMALLEST_RADIUS = 22.0, 2.5
_LABELLED = 6


@dataclass(frozen=True)
class _Axis:
    """A logarithmic axis over whole decades, from ``start`` to ``end`` pixels."""

    low: int
    high: int
    start: float
    end: float

    def at(self, value: float) -> float:
        part = (math.log10(value) - self.low) / (self.high - self.low)
        return self.start + part * (self.end - self.start)


def roofline_svg(layers: pd.DataFrame, samples: int, machine: MachineModel | None) -> str | None:
    """Layers as dots (area: time) over intensity and rate, below the machine's roofs.

    Args:
        layers: the **layers** table.
        samples: samples that its times are over.
        machine: its peak and its bandwidths become lines; without it there are dots only.

    Returns: an SVG element, or None when no layer has both arithmetic and a time.
    """
    dots = _dots(layers, samples)
    if not len(dots):
        return None
    roofs = _roofs(machine) if machine is not None else []
    tops = list(dots["rate"]) + ([_peak(machine)] if machine is not None else [])
    x = _axis(list(dots["intensity"]), _LEFT, _WIDTH - _RIGHT)
    y = _axis(tops, _HEIGHT - _BOTTOM, _TOP)
    parts = [*_grid(x, y)]
    if machine is not None:
        parts += _lines(x, y, _peak(machine), roofs)
    parts += _circles(x, y, dots)
    return (
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="Roofline plot: rate of '
        f'each layer over its arithmetic intensity">{"".join(parts)}</svg>'
    )


def _dots(layers: pd.DataFrame, samples: int) -> pd.DataFrame:
    """Layers with a place in the plot: name, type, intensity, rate in GFLOP/s, wall_ms, share."""
    found = layers[(layers["intensity"].fillna(0) > 0) & (layers["wall_ms"].fillna(0) > 0)].copy()
    found["rate"] = found["flops"].astype(float) * samples / found["wall_ms"].astype(float) / 1e6
    total = float(layers["wall_ms"].sum())
    found["share"] = found["wall_ms"].astype(float) / total if total else 0.0
    return found.sort_values("wall_ms", ascending=False)


def _peak(machine: MachineModel) -> float:
    """GFLOP/s: two operations per multiply-accumulate."""
    return 2 * machine.peak_gmacs()


def _roofs(machine: MachineModel) -> list[tuple[str, float]]:
    """The two bandwidths that frame the rest, in GB/s: of the largest data, and the best."""
    rates = [measured.best for _, measured in machine.bandwidth_gb]
    memory, cache = rates[-1], max(rates)
    roofs = [(f"memory {memory:.0f} GB/s", memory)]
    return roofs if cache < 1.5 * memory else [*roofs, (f"cache {cache:.0f} GB/s", cache)]


def _axis(values: list[float], start: float, end: float) -> _Axis:
    low = math.floor(math.log10(min(values)))
    high = math.ceil(math.log10(max(values)))
    return _Axis(low, max(high, low + 1), start, end)


def _grid(x: _Axis, y: _Axis) -> list[str]:
    parts = []
    for decade in range(x.low, x.high + 1):
        at = x.at(10.0**decade)
        parts.append(_line(at, y.start, at, y.end, "grid"))
        parts.append(_text(at, y.start + 18, _tick(decade), "tick", "middle"))
    for decade in range(y.low, y.high + 1):
        at = y.at(10.0**decade)
        parts.append(_line(x.start, at, x.end, at, "grid"))
        parts.append(_text(x.start - 8, at + 4, _tick(decade), "tick", "end"))
    parts.append(_text((x.start + x.end) / 2, _HEIGHT - 8, "intensity, FLOP/byte", "", "middle"))
    parts.append(_text(x.start, _TOP - 14, "GFLOP/s", "", "end"))
    return parts


def _lines(x: _Axis, y: _Axis, peak: float, roofs: list[tuple[str, float]]) -> list[str]:
    """The flat roof from the first ridge on, and each bandwidth's slope up to it."""
    left, right = 10.0**x.low, 10.0**x.high
    ridge = min(peak / bandwidth for _, bandwidth in roofs)
    flat = y.at(peak)
    parts = [
        _line(x.at(min(max(ridge, left), right)), flat, x.end, flat, "roof"),
        _text(x.end - 4, flat - 6, f"peak {peak:.0f} GFLOP/s", "", "end"),
    ]
    for name, bandwidth in roofs:
        # From where it enters the frame, at the left or at the bottom, to the roof.
        begin = max(left, 10.0**y.low / bandwidth)
        end = min(right, peak / bandwidth)
        if end <= begin:
            continue
        low, high = (x.at(begin), y.at(begin * bandwidth)), (x.at(end), y.at(end * bandwidth))
        parts.append(_line(*low, *high, "roof memory"))
        angle = math.degrees(math.atan2(high[1] - low[1], high[0] - low[0]))
        middle = ((low[0] + high[0]) / 2, (low[1] + high[1]) / 2)
        parts.append(_slanted(*middle, angle, name))
    return parts


def _circles(x: _Axis, y: _Axis, dots: pd.DataFrame) -> list[str]:
    """The dots, and the names of the longest layers where they do not hide each other."""
    largest = float(dots["wall_ms"].max())
    circles, names = [], []
    taken: list[tuple[float, float]] = []
    for _, row in dots.iterrows():
        radius = max(_SMALLEST_RADIUS, _LARGEST_RADIUS * math.sqrt(row["wall_ms"] / largest))
        at = (x.at(float(row["intensity"])), y.at(float(row["rate"])))
        circles.append(
            f'<circle cx="{at[0]:.1f}" cy="{at[1]:.1f}" r="{radius:.1f}">'
            f"<title>{escape(_told(row))}</title></circle>"
        )
        near = any(abs(at[0] - u) < 160 and abs(at[1] - v) < 15 for u, v in taken)
        if len(taken) < _LABELLED and not near:
            taken.append(at)
            right = at[0] > (x.start + x.end) / 2
            beside = at[0] - radius - 4 if right else at[0] + radius + 4
            names.append(_text(beside, at[1] + 4, row["name"], "", "end" if right else "start"))
    return circles + names


def _told(row: pd.Series) -> str:
    return (
        f"{row['path']} ({row['type']}): {ms_text(row['wall_ms'])} ms, "
        f"{share_text(row['share'])} of the layers' time; {row['intensity']:.3g} FLOP/byte, "
        f"{row['rate']:.3g} GFLOP/s"
    )


def _tick(decade: int) -> str:
    return f"{10.0**decade:g}"


def _line(x1: float, y1: float, x2: float, y2: float, name: str) -> str:
    return f'<line class="{name}" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>'


def _text(x: float, y: float, text: str, name: str, anchor: str) -> str:
    kind = f' class="{name}"' if name else ""
    return f'<text{kind} x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'


def _slanted(x: float, y: float, angle: float, text: str) -> str:
    return (
        f'<text class="tick" transform="translate({x:.1f} {y:.1f}) rotate({angle:.1f})" dy="-5" '
        f'text-anchor="middle">{escape(text)}</text>'
    )
