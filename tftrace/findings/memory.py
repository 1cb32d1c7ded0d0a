"""What holds the peak of the memory, where the run noted it, and what would lower it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from tftrace.findings.basis.evidence import Evidence
from tftrace.findings.basis.figures import name_of
from tftrace.findings.basis.peak import Buffer, Peak, peak_of
from tftrace.findings.registry import Finding, finding_of_memory
from tftrace.graph.phases import BACKWARD, FORWARD
from tftrace.runs.layer_graph import LayerGraph
from tftrace.text import bytes_text, ms_text, share_text

_VISIBLE = 0.05  # of the peak
_GAIN = 0.01  # of the peak: less is not worth a change
_HALF = 0.5
_NAMED = 3
_PADS = frozenset(("MirrorPad", "Pad"))
_JOINS = frozenset(("Concat",))


@finding_of_memory
def copy_at_the_peak(profile: Evidence) -> Iterator[Finding]:
    """A padding or a concatenation whose result is held at the peak: a copy of what is there."""
    for peak, path, mine in _by_path(peak_of(profile), lambda b: b.plain_type in _PADS | _JOINS):
        joins = any(b.plain_type in _JOINS for b in mine)
        size = _size(mine)
        yield from _told(
            peak,
            mine,
            layer=path,
            kind="copy at the peak",
            text=(
                f"{name_of(profile, path)} holds {_of(peak, size)}: "
                f"{', '.join(_types(mine))} wrote it, a copy of values that were held already."
            ),
            cause=(
                "Joined tensors lie in a new buffer, beside those that they were copied from."
                if joins
                else "A padded tensor lies in a new buffer, beside what it was copied from."
            ),
            remedy=(
                "an addition in place of the concatenation; or, of a convolution behind it, one "
                "convolution per part and the sum of both, which is the same"
                if joins
                else "padding='same' in the convolution or pooling behind it, where that pads the "
                "same sides"
            ),
            sure="heuristic" if joins else "modelled",
        )


@finding_of_memory
def waiting_for_another_branch(profile: Evidence) -> Iterator[Finding]:
    """A tensor that no kernel uses at the peak, and that a layer joins to another later on."""
    for peak, path, mine in _by_path(peak_of(profile), lambda b: _waits(b, profile.layer_graph)):
        first = max(mine, key=lambda b: b.held_bytes)
        reader = str(first.next_reader)
        yield from _told(
            peak,
            mine,
            layer=path,
            kind="tensor kept for a later layer",
            text=(
                f"What {name_of(profile, path)} made, {_of(peak, _size(mine))}, is in no kernel's "
                f"use for {ms_text(first.waits_ms)} ms around the peak: it is kept for "
                f"{name_of(profile, reader)}."
            ),
            cause="A skip connection: its tensor lasts until the layer that joins the branches.",
            remedy=(
                "fewer channels or pixels on the skip (a 1x1 convolution, pooling before it), or "
                "branches that join earlier; smaller batches"
            ),
            sure="modelled",
            more={"producer": path, "consumer": reader, "waits_ms": first.waits_ms},
        )


@finding_of_memory
def doubles_at_the_peak(profile: Evidence) -> Iterator[Finding]:
    """Activations in double precision."""
    peak = peak_of(profile)
    mine = [] if peak is None else [b for b in peak.of_layers if b.dtype == "float64"]
    if peak is None or not mine:
        return
    yield from _told(
        peak,
        mine,
        layer=None,
        kind="float64 at the peak",
        text=f"Activations in float64 hold {_of(peak, _size(mine))}: {_largest(profile, mine)}.",
        cause="A float64 takes 8 bytes, a float32 takes 4.",
        remedy="dtype='float32' for these layers (or keras.config.set_floatx) and for the data",
        changed=[b for b in peak.buffers if b.path in peak.layers and b.dtype == "float64"],
        kept=_HALF,
        sure="modelled",
    )


@finding_of_memory
def kept_for_gradients(profile: Evidence) -> Iterator[Finding]:
    """Activations of the forward pass that wait for the backward pass."""
    peak = peak_of(profile)
    mine = [] if peak is None else [b for b in peak.of_layers if _for_gradient(b)]
    if peak is None or not mine:
        return
    yield from _told(
        peak,
        mine,
        layer=None,
        kind="activations kept for gradients",
        text=(
            f"What {len({b.path for b in mine})} layers made forward and a gradient reads later "
            f"holds {_of(peak, _size(mine))}: {_largest(profile, mine)}."
        ),
        cause="The gradient of a layer is computed from what the layer took in or handed on.",
        remedy=(
            "half the batch (with optimizer gradient_accumulation_steps=2 the update stays that "
            "of the whole), which is what the figure is for; or keras.RematScope, which computes "
            "them anew"
        ),
        changed=[b for b in peak.buffers if b.path in peak.layers and _for_gradient(b)],
        kept=_HALF,
        sure="modelled",
    )


@finding_of_memory
def one_layer_makes_the_peak(profile: Evidence) -> Iterator[Finding]:
    """A layer without whose own buffers the step would need half of what it has beside what is
    always there."""
    for peak, path, mine in _by_path(peak_of(profile), lambda _: True):
        always = _size(b for b in peak.held if b.start_ms is None)
        own = [b for b in peak.buffers if b.path == path]
        if _size(b for b in mine if b.plain_type in _PADS | _JOINS) * 2 >= _size(mine):
            continue
        if min(peak.saving(own), peak.saving_of_asked(own)) < _HALF * (peak.bytes - always):
            continue
        yield from _told(
            peak,
            mine,
            layer=path,
            kind="one layer makes the peak",
            text=(
                f"{name_of(profile, path)} holds {_of(peak, _size(mine))}; the rest of the step "
                f"never needs more than {bytes_text(peak.bytes - peak.saving(own))}."
            ),
            cause=f"Its own buffers ({', '.join(_types(mine))}) are larger than any other layer's.",
            remedy=(
                "a smaller result (strides, pooling before it, fewer channels), or this layer on "
                "parts of the batch in turn"
            ),
            changed=own,
            sure="modelled",
        )


def _told(
    peak: Peak,
    mine: Sequence[Buffer],
    *,
    changed: Sequence[Buffer] | None = None,
    kept: float = 0.0,
    more: dict[str, Any] | None = None,
    **said: Any,
) -> Iterator[Finding]:
    """The finding with its saving, where it is about a visible part of the peak and has one.

    Args:
        mine: the buffers of the peak that it is about.
        changed: those that the remedy changes, ``mine`` without.
        kept: the part of their size that the remedy leaves of them.
        more: evidence besides that of every such finding.
    """
    size = _size(mine)
    if size < _VISIBLE * peak.bytes:
        return
    saving = peak.saving(mine if changed is None else changed, kept)
    if saving < _GAIN * peak.bytes:
        return
    evidence = {
        "bytes": size,
        "peak_bytes": peak.bytes,
        "peak_share": size / peak.bytes,
        "layers": list(dict.fromkeys(b.path for b in mine)),
        "kernels": _types(mine),
    }
    yield Finding(**said, evidence=evidence | (more or {}), saving_bytes=saving)


def _by_path(
    peak: Peak | None, wanted: Callable[[Buffer], bool]
) -> Iterator[tuple[Peak, str, list[Buffer]]]:
    """The layers' buffers of the peak that are wanted, by layer."""
    found: dict[str, list[Buffer]] = {}
    for buffer in [] if peak is None else peak.of_layers:
        if wanted(buffer):
            found.setdefault(buffer.path, []).append(buffer)
    if peak is not None:
        yield from ((peak, path, mine) for path, mine in found.items())


def _waits(buffer: Buffer, graph: LayerGraph) -> bool:
    """Whether it waits for a layer that takes tensors of several. In ``fit`` what waits for the
    gradient is another finding."""
    if not buffer.waits_ms or buffer.next_reader is None or buffer.last_phase != FORWARD:
        return False
    return len({graph.owner[op] for op in graph.entries(buffer.next_reader)}) > 1


def _for_gradient(buffer: Buffer) -> bool:
    return buffer.phase == FORWARD and buffer.last_phase == BACKWARD


def _size(some: Iterable[Buffer]) -> int:
    return sum(b.held_bytes for b in some)


def _types(some: Iterable[Buffer]) -> list[str]:
    return list(dict.fromkeys(b.op_type for b in some if b.op_type is not None))


def _of(peak: Peak, size: int) -> str:
    """``71.3 MB, 45.0% of the peak``."""
    return f"{bytes_text(size)}, {share_text(size / peak.bytes)} of the peak"


def _largest(profile: Evidence, some: Sequence[Buffer]) -> str:
    """Names and bytes of the layers that hold most of it."""
    sizes: dict[str, int] = {}
    for b in some:
        sizes[b.path] = sizes.get(b.path, 0) + b.held_bytes
    order = sorted(sizes, key=lambda path: -sizes[path])
    told = [f"{name_of(profile, path)} {bytes_text(sizes[path])}" for path in order[:_NAMED]]
    more = f" and {len(order) - _NAMED} more" if len(order) > _NAMED else ""
    return ", ".join(told) + more
