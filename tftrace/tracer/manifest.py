"""What the tracer learned, put into the manifest that everything to the right reads."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Iterable
from dataclasses import asdict
from datetime import datetime, timezone
from importlib import metadata
from typing import Any

import tensorflow as tf

from tftrace.counts.count import OpCount
from tftrace.counts.layers import LayerCount, layer_counts
from tftrace.counts.rule import rule_text
from tftrace.counts.tables import coverage_of
from tftrace.graph import FlatOp
from tftrace.graph.forms import forms_of
from tftrace.graph.phases import PARTS, PHASES, phase_of
from tftrace.runs.epochs import Epochs
from tftrace.runs.manifest import (
    Counting,
    Coverage,
    Input,
    KernelColumns,
    Latency,
    LayerWork,
    Machine,
    Manifest,
    Model,
    OpColumns,
    Settings,
    Site,
    TracedFunction,
    Work,
)
from tftrace.tracer.data.inputs import input_names
from tftrace.tracer.graphs.functions import Captured, Reference
from tftrace.tracer.graphs.recorder import Recording, weight_bytes
from tftrace.tracer.graphs.watching import optimizers_of
from tftrace.tracer.keras_model import dtype_name
from tftrace.tracer.setting import setting
from tftrace.version import __version__

_PACKAGES = ("tensorflow", "keras", "tf_keras", "numpy", "tensorboard-plugin-profile")


def build_manifest(
    model: Any,
    recording: Recording,
    reference: Reference,
    functions: list[Captured],
    *,
    source: str | None,
    run: Settings,
    latency: Latency,
    roofs: dict[str, Any] | None,
    epochs: Epochs | None,
) -> Manifest:
    """The manifest of a run; ``roofs`` is the machine model as JSON types."""
    positions = {path: i for i, path in enumerate(recording.sites)}
    return Manifest(
        created=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        versions=_versions(),
        machine=_machine(),
        model=_model(model, source),
        run=run,
        latency=latency,
        roofs=roofs,
        counting=_counting(reference),
        sites=[Site(**asdict(site)) for site in recording.sites.values()],
        functions=[_function(f, positions) for f in functions],
        epochs=epochs,
    )


def _counting(reference: Reference) -> Counting:
    """The rule, what it covers, and the work per call site over ``batch`` samples."""
    found = layer_counts(reference.flow, reference.counts)
    layers = {path: _layer_work(count) for path, count in found.items()}
    return Counting(
        rule=rule_text(),
        coverage=Coverage(**asdict(coverage_of(reference.counts))),
        batch=reference.batch,
        layers={path: work for path, work in layers.items() if path is not None},
        outside=layers.get(None),
    )


def _layer_work(count: LayerCount) -> LayerWork:
    return LayerWork(**{**asdict(count), "notes": list(count.notes)})


def _function(captured: Captured, sites: dict[str, int]) -> TracedFunction:
    """One traced function in columns; inputs and owners as indices, -1 for none."""
    counts = captured.counts
    position = {c.key: i for i, c in enumerate(counts)}
    flat = [captured.flow.ops[c.key] for c in counts]
    return TracedFunction(
        name=captured.name,
        batch=captured.batch,
        counted_batch=captured.counted_batch,
        ops=OpColumns(
            key=[c.key for c in counts],
            type=[c.type for c in counts],
            owner=[-1 if c.owner is None else sites[c.owner] for c in counts],
            times=[c.times for c in counts],
            live=[int(c.live) for c in counts],
            inputs=[[position[edge.name] for edge in op.inputs] for op in flat],
            form=forms_of(flat),
            out_bytes=[_out_bytes(captured, c.key) for c in counts],
            dtype=[_dtype(captured, c.key) for c in counts],
            phase=_phases(flat),
            part=_parts(flat),
            work=[_work(c) for c in counts],
        ),
        kernels=KernelColumns(
            name=[k.name for k in captured.kernels],
            type=[k.type for k in captured.kernels],
            inputs=[list(k.inputs) for k in captured.kernels],
        ),
    )


def _phases(ops: list[FlatOp]) -> list[int] | None:
    """Numbers of the phases; None where there is no other than the forward one."""
    phases = [PHASES.index(phase_of(op.phase)) for op in ops]
    return phases if any(phases) else None


def _parts(ops: list[FlatOp]) -> list[int] | None:
    """Numbers of the parts of phases, -1 for none; None where there is none at all."""
    parts = [PARTS.index(op.phase) if op.phase in PARTS else -1 for op in ops]
    return parts if any(part >= 0 for part in parts) else None


def _out_bytes(captured: Captured, key: str) -> int | None:
    """Size of what the operation hands on, for the traffic that fusing it away saves."""
    sizes = [spec.bytes for spec in captured.flow.ops[key].node.outputs]
    known = [size for size in sizes if size is not None]
    return sum(known) if len(known) == len(sizes) else None


def _dtype(captured: Captured, key: str) -> str | None:
    """Element type of the first output; None for an operation without outputs."""
    outputs = captured.flow.ops[key].node.outputs
    return outputs[0].dtype if outputs else None


def _work(count: OpCount) -> Work:
    return {k: v for k, v in asdict(count.work).items() if v is not None}


def _versions() -> dict[str, str]:
    found = {"tftrace": __version__, "python": platform.python_version()}
    for package in _PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found


def _machine() -> Machine:
    """What ran; ``onednn``, ``allocator`` and ``instruction_sets`` are null where unknown."""
    here = setting()
    intra, inter = here.threads
    return Machine(
        cpu=here.cpu,
        cores=here.cores,
        usable_cores=_usable_cores(),
        # TensorFlow says 0 for "as many as there are cores".
        intra_op_threads=intra or here.cores,
        inter_op_threads=inter or here.cores,
        devices=[d.name for d in tf.config.list_physical_devices()],
        platform=sys.platform,
        onednn=here.onednn,
        allocator=here.allocator,
        instruction_sets=_listed(here.instruction_sets),
        instruction_limit=here.instruction_limit,
    )


def _usable_cores() -> int | None:
    """Processors that this process may run on; None where the system does not say."""
    allowed = getattr(os, "sched_getaffinity", None)
    return None if allowed is None else len(allowed(0))


def _listed(names: Iterable[str] | None) -> list[str] | None:
    return None if names is None else list(names)


def _model(model: Any, source: str | None) -> Model:
    inputs = list(getattr(model, "inputs", None) or [])
    names = input_names(model) if inputs else []
    return Model(
        name=model.name,
        type=type(model).__name__,
        source=source,
        params=int(model.count_params()) if model.built else None,
        weights_bytes=[weight_bytes(w) for w in model.weights] if model.built else None,
        optimizer_bytes=_optimizer_bytes(model),
        inputs=[Input(n, list(t.shape), dtype_name(t)) for n, t in zip(names, inputs, strict=True)],
    )


def _optimizer_bytes(model: Any) -> int | None:
    """Of the variables of all its optimizers; None where one is not of Keras 3."""
    known = optimizers_of(model)
    own = getattr(model, "optimizer", None)
    if own is not None and all(own is not each for each in known):
        return None
    return sum(weight_bytes(v) for each in known for v in each.variables)
