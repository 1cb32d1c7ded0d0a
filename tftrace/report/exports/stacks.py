"""A run as stacks: layers below their containers, for flame graphs and speedscope."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pandas as pd

from tftrace.attribution.rows import LAYERS
from tftrace.report.exports.files import file_format
from tftrace.text import printable
from tftrace.version import __version__

if TYPE_CHECKING:
    from tftrace.api.profile import Profile


@file_format("collapsed")
def _collapsed(profile: Profile) -> Iterator[str]:
    """One line per stack and its microseconds, as flame graph tools read it.

    A layer stands below its containers with its own time; the lines sum to the wall.
    """
    for stack, ms, _ in _stacks(profile):
        if (us := round(1e3 * ms)) > 0:
            # A semicolon parts frames, and a line is a stack.
            yield ";".join(printable(f.replace(";", ":")) for f in stack) + f" {us}\n"


@file_format("speedscope")
def _speedscope(profile: Profile) -> Iterator[str]:
    """Two sampled profiles over the same stacks: time, and multiplications per sample.

    https://github.com/jlfwong/speedscope/wiki/Importing-from-custom-sources
    """
    stacks = list(_stacks(profile))
    frames = list(dict.fromkeys(frame for stack, _, _ in stacks for frame in stack))
    place = {frame: index for index, frame in enumerate(frames)}
    samples = [[place[frame] for frame in stack] for stack, _, _ in stacks]
    times = [ms for _, ms, _ in stacks]
    counted = [(s, m) for s, (_, _, m) in zip(samples, stacks, strict=True) if m is not None]
    yield json.dumps(
        {
            "$schema": "https://www.speedscope.app/file-format-schema.json",
            "exporter": f"tftrace {__version__}",
            "name": str(profile.model["name"]),
            "shared": {"frames": [{"name": frame} for frame in frames]},
            "profiles": [
                _sampled("time of one predict", "milliseconds", samples, times),
                _sampled("multiplications per sample", "none", *_unzipped(counted)),
            ],
        }
    )


def _sampled(
    name: str, unit: str, samples: list[list[int]], weights: list[float]
) -> dict[str, Any]:
    end = float(sum(weights))
    profile = {"type": "sampled", "name": name, "unit": unit, "startValue": 0, "endValue": end}
    return profile | {"samples": samples, "weights": weights}


def _unzipped(pairs: list[tuple[list[int], float]]) -> tuple[list[list[int]], list[float]]:
    return [sample for sample, _ in pairs], [weight for _, weight in pairs]


def _stacks(profile: Profile) -> Iterator[tuple[tuple[str, ...], float, float | None]]:
    """Frames from the outermost in, ms, and multiplications (None: unknown, or no layer)."""
    for row in profile.layers.to_dict(orient="records"):
        mults = row["mults"]
        known = None if pd.isna(mults) else float(mults)
        yield tuple(str(row["path"]).split("/")), float(row["wall_ms"]), known
    for row in profile.wall.to_dict(orient="records"):
        if row["component"] != LAYERS:
            yield (str(row["component"]),), float(row["wall_ms"]), None
