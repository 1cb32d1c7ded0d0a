"""A profile: the tables of one run, whether just measured or opened from its folder."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from tftrace.attribution.by_name.foreign import ForeignJoin
from tftrace.attribution.checks import Check, checks
from tftrace.attribution.join import Join
from tftrace.attribution.live_line import live_line
from tftrace.attribution.memory import Held, held
from tftrace.attribution.rows import UnknownFunction
from tftrace.attribution.runnable import HIDDEN_NOTE
from tftrace.errors import TftraceError
from tftrace.machine.model import MachineModel
from tftrace.runs.layer_graph import LayerGraph, layer_graph
from tftrace.runs.manifest import plain
from tftrace.runs.names import way_of
from tftrace.runs.run import Run
from tftrace.tables.allocators import allocators_table
from tftrace.tables.buffers import buffers_table
from tftrace.tables.epochs import epochs_table
from tftrace.tables.events import event_chunks, events_table
from tftrace.tables.frame import PS_PER_MS, records, total
from tftrace.tables.input import input_table
from tftrace.tables.layers import layers_table
from tftrace.tables.lines import lines_table
from tftrace.tables.memory import memory_table, memory_timeline, peak_live_bytes
from tftrace.tables.ops import ops_table
from tftrace.tables.primitives import logged, primitives_table
from tftrace.tables.replicas import replicas_table
from tftrace.tables.steps import steps_table
from tftrace.tables.tree import roll_up
from tftrace.tables.wall import wall_table
from tftrace.timeline.share_out import UNKNOWN
from tftrace.units import with_units

if TYPE_CHECKING:
    from tftrace.report.html.plots import Plots

TABLES = ("layers", "ops", "events", "steps", "wall")

_NO_FINDINGS = "they compare times with multiplications, and a trace alone has no counts"


class Profile:
    """One run of ``model.predict`` as DataFrames.

    Times are ms over one traced pass, work is per sample; unknown is null. ``latency``, ``run``,
    ``model``, ``machine`` and ``counting`` are the manifest's dicts of those names.
    """

    def __init__(self, run: Run, keep: object = None, join: Join | None = None) -> None:
        self._run = run
        self._join = join or Join(run)
        # A profile that was never saved owns the temporary folder it lives in.
        self._keep = keep
        self.folder = run.folder
        self.latency: dict[str, Any] = plain(run.manifest.latency)
        self.run: dict[str, Any] = plain(run.manifest.run)
        self.model: dict[str, Any] = plain(run.manifest.model)
        self.machine: dict[str, Any] = plain(run.manifest.machine)
        self.versions: dict[str, str] = plain(run.manifest.versions)
        self.counting: dict[str, Any] = plain(run.manifest.counting)

    @cached_property
    def layers(self) -> pd.DataFrame:
        """One row per layer call site, in execution order; rows are exclusive."""
        live = None if not self.run["memory"] or self._held is None else peak_live_bytes(self._held)
        return with_units(layers_table(self._join, live))

    @cached_property
    def ops(self) -> pd.DataFrame:
        """One row per executed operation or kernel, longest first."""
        return with_units(ops_table(self._join))

    @cached_property
    def events(self) -> pd.DataFrame:
        """One row per recorded execution, in time order."""
        return with_units(events_table(self._join))

    def event_chunks(self, rows: int = 1 << 18) -> Iterator[pd.DataFrame]:
        """``events`` in parts of so many rows, for traces whose events do not fit into memory."""
        return event_chunks(self._join, rows)

    @cached_property
    def steps(self) -> pd.DataFrame:
        """One row per batch."""
        return with_units(steps_table(self._join))

    @cached_property
    def epochs(self) -> pd.DataFrame:
        """One row per epoch of ``fit`` and part of it; they sum to it. See `epochs_table`. Empty
        of all else."""
        machine = self._run.manifest.machine
        on_gpu = machine is not None and any("GPU" in device for device in machine.devices)
        return with_units(epochs_table(self._run.manifest.epochs, on_gpu))

    @property
    def epochs_of(self) -> str | None:
        """Whose epochs those are, in words; None without any."""
        epochs = self._run.manifest.epochs
        return None if epochs is None else epochs.of

    @cached_property
    def memory(self) -> pd.DataFrame:
        """One row per call site: its bytes, and what it holds at the peak; see `memory_table`."""
        return with_units(memory_table(self._memory_join, self._held))

    @cached_property
    def memory_timeline(self) -> pd.DataFrame:
        """Bytes held over the step of the peak, by holder; see `memory_timeline`."""
        return with_units(memory_timeline(self._held))

    @cached_property
    def buffers(self) -> pd.DataFrame:
        """One row per buffer of the step of the peak, see `buffers_table`; empty where memory was
        not asked for."""
        return with_units(buffers_table(self._held if self.run["memory"] else None))

    @cached_property
    def allocators(self) -> pd.DataFrame:
        """One row per allocator (each GPU has one) that noted anything, see `allocators_table`."""
        return with_units(allocators_table(self._memory_join))

    @property
    def live_line(self) -> Iterator[tuple[float, int]]:
        """Time in ns, on the clock of **events**, and the bytes held from then on, over the window;
        nothing where memory was not asked for."""
        if not self.run["memory"] or self._held is None:
            return
        base = self._join.run.trace.base_ns
        time, size = live_line(self._join, self._held)
        yield from zip((base + time / 1e3).tolist(), size.tolist(), strict=True)

    @cached_property
    def _memory_join(self) -> Join:
        return self._join.over(self._run.of_memory)

    @cached_property
    def _held(self) -> Held | None:
        return held(self._memory_join)

    @cached_property
    def wall(self) -> pd.DataFrame:
        """One row per component of the measured window; they sum to it (of a trace from
        elsewhere: per device)."""
        return with_units(wall_table(self._join))

    @cached_property
    def input(self) -> pd.DataFrame:
        """One row per stage of the tf.data pipeline that made the batches; see `input_table`.

        That of Keras's own where the data are arrays."""
        return with_units(input_table(self._join))

    @property
    def own_pipeline(self) -> bool:
        """Whether the batches came through a pipeline of the user's own."""
        return bool(self.run.get("own_batches")) and len(self.input) > 0

    @cached_property
    def primitives(self) -> pd.DataFrame:
        """One row per kernel and primitive of oneDNN; empty without ``tftrace run --kernels``."""
        return with_units(primitives_table(logged(self._run.manifest), self.ops))

    @property
    def onednn(self) -> dict[str, Any] | None:
        """What ``tftrace run --kernels`` learned, as in the manifest; None where it did not run.

        ``reason`` says why there are no primitives, ``unjoined`` what of them has no kernel.
        """
        found: dict[str, Any] | None = plain(self._run.manifest.onednn)
        return found

    @cached_property
    def layer_graph(self) -> LayerGraph:
        """How values pass between layers, in the graph as it was traced."""
        return layer_graph(self._run.manifest)

    @property
    def window_start_ns(self) -> float:
        """When the window of the tables begins, on the clock of **events**."""
        return float(self._join.run.trace.base_ns + self._join.window.start / 1e3)

    @property
    def roofs(self) -> MachineModel | None:
        """What the machine can do at best, when it was calibrated."""
        return self._join.machine

    @cached_property
    def findings(self) -> list[dict[str, Any]]:
        """Where time and multiplications disagree, why, and what would help; most time first.

        Empty where ``no_findings`` says why.
        """
        from tftrace.findings import find

        return [] if self.no_findings else find(self)

    @cached_property
    def disagreements(self) -> pd.DataFrame:
        """Every layer that takes far more of the time than of the multiplications, and why; see
        `tftrace.findings.disagreement`. Empty for a trace that another program took, and of
        ``fit``, whose reasons are others."""
        from tftrace.findings.disagreement import disagreements, no_disagreements

        unknown = self.foreign or self.way == "fit"
        found = no_disagreements() if unknown else disagreements(self, self.findings)
        return with_units(found)

    @property
    def trace_path(self) -> Path:
        """The file of the trace."""
        return self._join.run.trace_path

    @property
    def saved(self) -> bool:
        """Whether its folder stays when the profile is gone: it was given one, or opened."""
        return self._keep is None

    @property
    def foreign(self) -> bool:
        """Whether another program took the trace: layers, if any, are matched by name."""
        return isinstance(self._join, ForeignJoin)

    @property
    def window_ms(self) -> float:
        """Length of the stretch of the trace that the tables are over."""
        return self._join.timeline.length / PS_PER_MS

    @cached_property
    def replicas(self) -> pd.DataFrame:
        """What several devices ran alike, side by side; see `replicas_table`. Without rows where
        one device did all, and for runs of tftrace."""
        return with_units(replicas_table(self.ops))

    @cached_property
    def lines(self) -> pd.DataFrame:
        """One row per GPU stream and host thread: how long it was in any event; see
        `lines_table`."""
        return with_units(lines_table(self._join))

    @property
    def window(self) -> str | None:
        """Which stretch of a trace from elsewhere the tables are over; None for a run of tftrace,
        which marks it."""
        return self._join.window_note if isinstance(self._join, ForeignJoin) else None

    @property
    def way(self) -> str:
        """What was run, in a word: ``evaluate``, ``fit``, or ``predict``, which stands for every
        way that has no labels."""
        return way_of(str(self.run["call"]))

    @property
    def no_findings(self) -> str | None:
        """Why there cannot be any; None where there can."""
        if self.foreign:
            return _NO_FINDINGS
        return "they are about predict, and this is evaluate" if self.way == "evaluate" else None

    @cached_property
    def recording(self) -> dict[str, Any]:
        """How complete the trace is: executions recorded and expected, worker time followed.

        Executions are those of kernels that compute something: a loop's switches and merges are
        not among them.

        Expected executions are null when a loop's length is unknown (for ``unknown_ops`` kernels),
        and ``expected_exact`` is false when some run in functions whose optimized graph TensorFlow
        does not show. Of a trace from elsewhere all are null, for nothing tells which are the
        model's.
        """
        # The machinery of a loop computes nothing, and the runtime merges some of it.
        mine = self.ops[self.ops["layer"].notna() & self.ops["members"].map(bool)]
        notes = mine["note"] if "note" in mine else pd.Series(dtype=object)
        timeline = self._join.timeline
        return {
            "recorded": None if self.foreign else int(mine["calls"].sum()),
            "expected": None if self.foreign else total(mine["expected_calls"]),
            "expected_exact": None if self.foreign else not notes.eq(HIDDEN_NOTE).any(),
            "unknown_ops": None if self.foreign else int(mine["expected_calls"].isna().sum()),
            "unrecorded_ops": None if self.foreign else int((mine["calls"] == 0).sum()),
            "worker_ms": timeline.worker_ps / 1e9,
            "worker_ms_unresolved": timeline.lost_worker_ps / 1e9,
        }

    @property
    def warnings(self) -> list[str]:
        """Self-checks that failed, and what the tables lack: batches that were not traced, what a
        truncated trace lost, a function that ran in the window and that tftrace did not see
        traced, other hosts of the run, planes of a trace from elsewhere that are not reported.
        Empty when all is there."""
        told = (self._untraced(), self._run.lost, self._run.several_hosts)
        known = [note for note in told if note is not None]
        faults = [f"self-check failed: {c.name}: {c.fault}" for c in self._checks if c.fault]
        return [*faults, *known, *map(_unknown_text, self._join.unknown), *self._join.warnings]

    @property
    def checks(self) -> dict[str, str | None]:
        """What must hold of every run, by name: what was found where it does not, else None. Of a
        trace that another program took there are three: it has no graph to be held against."""
        return {check.name: check.fault for check in self._checks}

    @cached_property
    def _checks(self) -> list[Check]:
        return checks(self._join)

    def _untraced(self) -> str | None:
        """Which part of the data the traced pass, and with it every table, is about."""
        run, trace = self.run, self.run["trace"]
        if trace["whole"] is not False:
            return None
        return (
            f"only the first {trace['steps']:,} of {run['steps']:,} steps ({trace['samples']:,} of "
            f"{run['samples']:,} samples) were traced: the tables and findings are about those"
        )

    def tree(self, depth: int | None = None) -> pd.DataFrame:
        """``layers`` with rows below ``depth`` added to their ancestors (0: the whole model)."""
        return roll_up(self.layers, depth, self.run["trace"]["samples"])

    @property
    def plot(self) -> Plots:
        """Charts: ``plot.layers()``, ``plot.roofline()``, ``plot.timeline()``, ``plot.icicle()``,
        each a Bokeh figure."""
        from tftrace.report.html.plots import Plots

        return Plots(self)

    @property
    def table_names(self) -> tuple[str, ...]:
        """Names of the tables: ``input`` too, where the data came in batches of its own,
        ``epochs`` of ``fit``, ``primitives``, where the run has oneDNN's log, and ``memory``,
        where it was asked for."""
        known = self.onednn is not None and not self.onednn["reason"]
        asked = bool(self.run["memory"])
        more = (
            ("input", self.own_pipeline),
            ("epochs", self.epochs_of is not None),
            ("primitives", known),
            ("memory", asked),
        )
        return (*TABLES, *(name for name, there in more if there))

    def table(self, name: str) -> pd.DataFrame:
        """One of the tables by name.

        Raises:
            TftraceError: there is no such table.
        """
        if name not in self.table_names:
            raise TftraceError(f"no table {name!r}; there are {', '.join(self.table_names)}")
        found: pd.DataFrame = getattr(self, name)
        return found

    def to_dict(self) -> dict[str, Any]:
        """The JSON contract: plain data, numbers unrounded, unknown is None."""
        found = {
            "schema": 1,
            "model": self.model,
            "run": {**self.run, "versions": self.versions, "machine": self.machine},
            "latency": self.latency,
            "wall": records(self.wall),
            "layers": records(self.layers),
            "ops": records(self.ops),
            "steps": records(self.steps),
            "recording": self.recording,
            "counting": {k: self.counting[k] for k in ("rule", "coverage", "batch")},
            "findings": self.findings,
            "disagreements": records(self.disagreements),
            "warnings": self.warnings,
            "checks": self.checks,
            "window": self.window,
            "no_findings": self.no_findings,
        }
        if self.own_pipeline:
            found["input"] = records(self.input)
        if self.epochs_of is not None:
            found["epochs"] = records(self.epochs)
        if self.run["memory"]:
            found["memory"] = records(self.memory)
        if self.onednn is not None:
            found["onednn"] = self.onednn | {"primitives": records(self.primitives)}
        return found

    def save(self, folder: str | Path) -> Path:
        """Copy the run into ``folder`` (as a new run beside others) and return its path.

        Raises:
            TftraceError: the folder cannot be written.
        """
        from tftrace.files import scratch_folder
        from tftrace.runs.folder import new_run_folder

        out = Path(folder)
        with scratch_folder(out) as scratch:
            copied = scratch / "run"
            shutil.copytree(self.folder, copied)
            return new_run_folder(out, self.folder.name, copied)

    def __str__(self) -> str:
        from tftrace.report.terminal.run import render_text

        return render_text(self)

    def __repr__(self) -> str:
        return f"<tftrace.Profile of {self.model['name']} at {self.folder}>"

    def _repr_html_(self) -> str:
        from tftrace.report.notebook import profile_html

        return profile_html(self)


def _unknown_text(function: UnknownFunction) -> str:
    calls = "1 call" if function.calls == 1 else f"{function.calls:,} calls"
    return (
        f"the function {function.name} ran in the measured window ({calls}, "
        f"{function.busy_ms:.3g} ms) and tftrace did not see it traced: its kernels are "
        f"{UNKNOWN!r}, of no layer and not among the executions expected"
    )
