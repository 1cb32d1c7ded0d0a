"""The report in a notebook cell."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

import pandas as pd

from tftrace.text import count_text, ms_text, share_text

if TYPE_CHECKING:
    from tftrace.api.profile import Profile

_ROWS = 20


def render_html(profile: Profile) -> str:
    """Latency, wall and the longest layers as an HTML fragment without scripts or styles."""
    latency = profile.latency
    median = latency["median_ms"]
    head = "latency not measured" if median is None else f"median latency {ms_text(median)} ms"
    parts = [
        f"<h4>{escape(str(profile.model['name']))}: {head}</h4>",
        *(f"<p>{escape(warning)}</p>" for warning in profile.warnings),
        _wall(profile.wall).to_html(index=False, border=0),
        *_layers_or_ops(profile),
        *(f"<p>{escape(f['text'])} {escape(f['cause'])}</p>" for f in profile.findings),
    ]
    return "<div>" + "".join(parts) + "</div>"


def _layers_or_ops(profile: Profile) -> list[str]:
    """The longest layers; of a trace without any, the longest ops."""
    if len(profile.layers):
        return [_layers(profile.layers).to_html(index=False, border=0)]
    ops = profile.ops.head(_ROWS)[["op", "op_type", "device", "wall_ms"]]
    return [ops.assign(wall_ms=ops["wall_ms"].map(ms_text)).to_html(index=False, border=0)]


def _wall(wall: pd.DataFrame) -> pd.DataFrame:
    # Of a trace from elsewhere the rows are per device.
    device = {"device": wall["device"]} if "device" in wall else {}
    return pd.DataFrame(
        {
            **device,
            "component": wall["component"],
            "ms": wall["wall_ms"].map(ms_text),
            "share": [share_text(None if pd.isna(v) else v) for v in wall["wall_share"]],
        }
    )


def _layers(layers: pd.DataFrame) -> pd.DataFrame:
    top = layers.sort_values("wall_ms", ascending=False).head(_ROWS)
    total = layers["wall_ms"].sum()
    return pd.DataFrame(
        {
            "layer": top["path"],
            "type": top["type"],
            "ms": top["wall_ms"].map(ms_text),
            "share": (top["wall_ms"] / total if total else top["wall_ms"]).map(share_text),
            "mults": [count_text(None if pd.isna(v) else v) for v in top["mults"]],
        }
    )
