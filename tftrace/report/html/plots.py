"""The charts of the page one by one, for a notebook or for a page of one's own."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from bokeh.models import ColumnDataSource
from bokeh.plotting import figure

from tftrace.errors import TftraceError
from tftrace.report.html.drawing import type_colors
from tftrace.report.html.icicle import WIDTHS, icicle
from tftrace.report.html.pairs import layer_pairs
from tftrace.report.html.roofline import roofline
from tftrace.report.html.rows import Rows, rows_of
from tftrace.report.html.source import source_of
from tftrace.report.html.timeline import timeline_chart, timeline_of

if TYPE_CHECKING:
    from tftrace.api.profile import Profile


class Plots:
    """``profile.plot``: Bokeh figures, each new and of its own; ``bokeh.io.show`` draws them.

    They are those of the page that ``tftrace view`` opens, as wide as the place they stand in.
    """

    def __init__(self, profile: Profile) -> None:
        self._profile = profile

    @cached_property
    def _rows(self) -> Rows:
        return rows_of(self._profile)

    def layers(self) -> figure:
        """The layers with most time: share of predict over share of multiplications, in percent.

        Raises:
            TftraceError: the trace has no layers, or none of them any time.
        """
        return _drawn(layer_pairs(self._source(), self._rows), "no layer has any time")

    def roofline(self) -> figure:
        """A dot per layer, its area the time: GFLOP/s over FLOP per byte, both logarithmic, below
        the roofs of this machine where it was calibrated.

        Raises:
            TftraceError: no layer has a time and arithmetic that are both known.
        """
        plot = roofline(self._source(), self._profile.roofs)
        return _drawn(plot, "no layer has a time and arithmetic that are both known")

    def timeline(self) -> figure:
        """The median step (of a trace from elsewhere the whole window) over ms: each layer from its
        first kernel to its last, below them the kernels by thread and device.

        Raises:
            TftraceError: nothing was recorded.
        """
        found, rows = timeline_of(self._profile), self._rows
        if found is None:
            raise TftraceError("there is no timeline: nothing was recorded")
        return timeline_chart(self._profile, found, rows, type_colors(rows))

    def icicle(self, by: str = "ms") -> figure:
        """The module tree, containers above what they hold.

        Args:
            by: what the widths are, ``ms`` of the traced pass or ``mults`` per sample.

        Raises:
            TftraceError: ``by`` is neither, or no layer has any of it.
        """
        if by not in WIDTHS:
            raise TftraceError(f"an icicle is by {' or '.join(WIDTHS)}, not {by!r}")
        return _drawn(icicle(self._source(), by), f"no layer has any {by}")

    def _source(self) -> ColumnDataSource:
        if not self._rows.sites:
            raise TftraceError("the trace has no layers; profile.plot.timeline() has its kernels")
        samples = self._profile.run["trace"]["samples"]
        return source_of(self._rows, samples, type_colors(self._rows))


def _drawn(plot: figure | None, reason: str) -> figure:
    if plot is None:
        raise TftraceError(f"there is nothing to draw: {reason}")
    return plot
