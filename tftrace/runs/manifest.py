"""The manifest: everything a run learned beside its trace. The tracer fills these types; whatever
reads a run reads them. One reader and one writer, which check types and ranges.

Numbers are None where unknown, and absent in runs of older versions.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeAlias

import msgspec

from tftrace.errors import TftraceError
from tftrace.graph.phases import PARTS, PHASES
from tftrace.runs.epochs import Epochs
from tftrace.runs.names import SCHEMA
from tftrace.runs.numbers import Amount, Count, Index, Positive

Work: TypeAlias = dict[str, Count | str | None]
"""``mults``, ``macs``, ``flops``, ``transcendentals``, ``bytes``; ``reason`` for what is None."""


class Machine(msgspec.Struct, frozen=True):
    """Where the run was made, and what TensorFlow was set to."""

    cpu: str | None = None
    cores: Count | None = None
    usable_cores: Count | None = None
    intra_op_threads: Count | None = None
    inter_op_threads: Count | None = None
    devices: list[str] = []
    platform: str | None = None
    onednn: bool | None = None
    allocator: str | None = None
    instruction_sets: list[str] | None = None
    instruction_limit: str | None = None


class Input(msgspec.Struct, frozen=True):
    """One input of the model; None in ``shape`` for a size that is open."""

    name: str
    shape: list[Count | None]
    dtype: str


class Model(msgspec.Struct, frozen=True, rename={"type": "class"}):
    """What ran."""

    name: str
    type: str | None = None
    source: str | None = None
    params: Count | None = None
    inputs: list[Input] = []
    weights_bytes: list[Count] | None = None
    """Of each of its weights; None where it is not built, and in runs of older versions."""
    optimizer_bytes: Count | None = None
    """Of the variables of the optimizers that it holds, 0 without one; None where unknown."""


class TracedPass(msgspec.Struct, frozen=True):
    """The pass under the profiler; ``whole`` says that it went over all samples. ``batches`` are
    the samples of each batch where the data comes in batches of its own."""

    samples: Count | None = None
    steps: Count | None = None
    batches: list[Count] | None = None
    whole: bool | None = None
    level: int | None = None
    note: str | None = None


class Origin(msgspec.Struct, frozen=True):
    """The files of a run as its command named them, and the options that loading and running them
    as it did needs. With ``data_module``, ``data`` names a function (``module:function``)."""

    model: str
    data: str
    options: list[str] = []
    data_module: bool = False


class Settings(msgspec.Struct, frozen=True):
    """How it was run."""

    samples: Count | None = None
    batch_size: Positive | None = None
    steps: Count | None = None
    steps_per_execution: Positive | None = None
    repeats: Count | None = None
    warmup: Count | None = None
    jit: bool | None = None
    trace: TracedPass = TracedPass()
    noise: list[str] | None = None
    """What else the machine did meanwhile, in words; None where that is not known."""
    own_batches: bool | None = None
    """Whether the data came in batches of its own, through a pipeline of the user's."""
    memory: bool = False
    """Whether who holds the memory was asked for."""
    call: str = "predict"
    """What was run: predict, evaluate, fit, one of them on a batch, or a tf.function by name."""
    origin: Origin | None = None
    """None where Python code called, and in runs of older versions."""


class Passes(msgspec.Struct, frozen=True):
    """Wall times of untraced passes, ms, in the order measured."""

    median_ms: Amount | None = None
    iqr_ms: Amount | None = None
    min_ms: Amount | None = None
    n: Count | None = None
    all_ms: list[Amount] = []
    warning: str | None = None

    def __post_init__(self) -> None:
        """Refuse a median of nothing, and a spread that is missing.

        Raises:
            ValueError: naming what is missing.
        """
        if self.median_ms is None:
            return
        if self.n is None or self.min_ms is None or not self.all_ms:
            raise ValueError("a median without n, min_ms and all_ms")
        if self.n > 1 and self.iqr_ms is None:
            raise ValueError(f"a median of {self.n} passes without iqr_ms")


class Latency(Passes, frozen=True):
    """Of plain ``predict`` calls; beside them the traced pass, and passes without tf.data's
    autotuner, or the reason why there are none."""

    traced_ms: Amount | None = None
    without_autotuner: Passes | None = None
    without_autotuner_reason: str | None = None


class LayerWork(msgspec.Struct, frozen=True):
    """Work of one call site over ``Counting.batch`` samples, of the forward pass where nothing
    else is said."""

    mults: Count | None = None
    macs: Count | None = None
    flops: Count | None = None
    transcendentals: Count | None = None
    bytes: Count | None = None
    mults_executed: Count | None = None
    macs_executed: Count | None = None
    bytes_executed: Count | None = None
    mults_backward: Count | None = 0
    macs_backward: Count | None = 0
    notes: list[str] = []


class Coverage(msgspec.Struct, frozen=True):
    """How many of the running ops have a count; by type how many not, and why."""

    counted: Count = 0
    total: Count = 0
    unknown: dict[str, Count] = {}
    reasons: dict[str, str] = {}


class Counting(msgspec.Struct, frozen=True):
    """The rule in words, and work by path; ``outside``: of ops that no layer made."""

    rule: str
    coverage: Coverage
    batch: Positive
    layers: dict[str, LayerWork]
    outside: LayerWork | None = None


class Site(msgspec.Struct, frozen=True):
    """A call site of the model; see `tftrace.tracer.graphs.recorder.CallSite`."""

    path: str
    name: str
    type: str
    call: Positive
    depth: Count
    parent: str | None = None
    output_shape: list[Count | None] | None = None
    params: Count | None = None
    weights_bytes: Count | None = None


class OpColumns(msgspec.Struct, frozen=True):
    """The traced ops of a function, flattened, in columns.

    ``owner`` is an index into the sites, ``times`` executions per call (None: depends on data),
    ``live`` whether a result needs it, ``inputs`` indices of ops, ``work`` that of one execution,
    ``form`` equal where attributes are equal, ``out_bytes`` what it hands on, ``phase`` an index
    into `tftrace.graph.phases.PHASES` (None: all are of the forward pass), ``part`` one into its
    `PARTS`, -1 for none.
    """

    key: list[str]
    type: list[str]
    owner: list[Index]
    times: list[Count | None]
    live: list[int]
    inputs: list[list[Count]]
    out_bytes: list[Count | None]
    work: list[Work]
    form: list[int] | None = None
    dtype: list[str | None] | None = None
    phase: list[Count] | None = None
    part: list[Index] | None = None


class KernelColumns(msgspec.Struct, frozen=True):
    """The nodes of the optimized graph, in columns; empty where it was not to be had."""

    name: list[str]
    type: list[str]
    inputs: list[list[str]]


class TracedFunction(msgspec.Struct, frozen=True):
    """One trace of the predict function; ``work`` is over ``counted_batch`` samples."""

    name: str | None
    batch: Count | None
    counted_batch: Positive
    ops: OpColumns
    kernels: KernelColumns


class LoggedPrimitive(msgspec.Struct, frozen=True):
    """What a kernel ran inside oneDNN; see `tftrace.attribution.primitives.KernelPrimitive`."""

    op: str
    op_type: str
    kernel_calls: Positive
    primitive: str
    role: str
    implementation: str
    layout: str
    problem: str
    attributes: str
    variable: bool | None
    calls: Positive
    busy_ms: Amount


class Unjoined(msgspec.Struct, frozen=True):
    """Primitives that no kernel could be given to, and why."""

    reason: str
    calls: Count
    busy_ms: Amount


class OnednnRun(msgspec.Struct, frozen=True):
    """What ``run --kernels`` learned, or the ``reason`` why it learned nothing."""

    reason: str | None = None
    version: str | None = None
    isa: str | None = None
    samples: Count | None = None
    steps: Count | None = None
    primitives: list[LoggedPrimitive] = []
    unjoined: list[Unjoined] = []


class Manifest(msgspec.Struct, frozen=True):
    """A whole manifest. ``roofs`` is a `tftrace.machine.model.MachineModel` as plain data."""

    model: Model
    run: Settings
    latency: Latency
    counting: Counting
    sites: list[Site]
    functions: list[TracedFunction]
    schema: int = SCHEMA
    created: str | None = None
    versions: dict[str, str] = {}
    machine: Machine | None = None
    roofs: dict[str, Any] | None = None
    onednn: OnednnRun | None = None
    epochs: Epochs | None = None
    """Of ``fit``; None of all else, and in runs of older versions."""


class _Version(msgspec.Struct):
    schema: int


def read_manifest(path: Path) -> Manifest:
    """The manifest in the file at ``path``.

    Raises:
        TftraceError: it cannot be read, is damaged (the field is named), or of a later version.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise TftraceError(f"cannot read {path}: {error.strerror}") from error
    try:
        schema = msgspec.json.decode(data, type=_Version).schema
        if schema != SCHEMA:
            raise TftraceError(f"{path} has schema {schema}, this tftrace reads {SCHEMA}")
        manifest = msgspec.json.decode(data, type=Manifest)
    except msgspec.ValidationError as error:
        raise TftraceError(f"{path} is damaged: {_field_first(str(error))}") from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise TftraceError(f"{path} is damaged: {error}") from error
    fault = _inconsistency(manifest)
    if fault is not None:
        raise TftraceError(f"{path} is damaged: {fault}")
    return manifest


def write_manifest(path: Path, manifest: Manifest) -> None:
    """Write it compactly; graphs make up most of it."""
    path.write_bytes(msgspec.json.encode(manifest))


def plain(part: Any) -> Any:
    """A part of the manifest as JSON types."""
    return msgspec.to_builtins(part)


def _field_first(message: str) -> str:
    """``Expected `int`, got `str` - at `$.run.samples``` -> ``run.samples: expected …``."""
    said, _, place = message.partition(" - at ")
    place = place.strip("`").removeprefix("$").removeprefix(".")
    return f"{place}: {said[0].lower()}{said[1:]}" if place else f"{said[0].lower()}{said[1:]}"


def _inconsistency(manifest: Manifest) -> str | None:
    """What is wrong between the fields, naming one; None when all is well."""
    settings, trace = manifest.run, manifest.run.trace
    whole = {"run.samples": settings.samples, "run.steps": settings.steps}
    whole |= {"run.trace.samples": trace.samples, "run.trace.steps": trace.steps}
    for field, number in {**whole, "run.batch_size": settings.batch_size}.items():
        if not number:
            return f"{field}: expected a number from 1, got {number}"
    paths = {site.path for site in manifest.sites}
    if len(paths) != len(manifest.sites):
        return "sites: a path stands there twice"
    if not manifest.functions:
        return "functions: there is none"
    for number, function in enumerate(manifest.functions):
        fault = _function_fault(function, len(manifest.sites))
        if fault is not None:
            return f"functions[{number}].{fault}"
    return None


def _function_fault(function: TracedFunction, sites: int) -> str | None:
    for name, columns in (("ops", function.ops), ("kernels", function.kernels)):
        lengths = {
            field: len(column)
            for field in columns.__struct_fields__
            if (column := getattr(columns, field)) is not None
        }
        first = next(iter(lengths.values()))
        for field, length in lengths.items():
            if length != first:
                return f"{name}.{field}: {length} entries where there should be {first}"
    ops = function.ops
    if any(isinstance(n, str) for work in ops.work for key, n in work.items() if key != "reason"):
        return "ops.work: a number is written as text"
    if any(phase >= len(PHASES) for phase in ops.phase or ()):
        return "ops.phase: there is no such phase"
    if any(part >= len(PARTS) for part in ops.part or ()):
        return "ops.part: there is no such part"
    if any(owner >= sites for owner in ops.owner):
        return "ops.owner: there is no such site"
    if any(source >= len(ops.key) for sources in ops.inputs for source in sources):
        return "ops.inputs: there is no such op"
    return None
