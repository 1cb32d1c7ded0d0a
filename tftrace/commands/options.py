"""Options that several commands share, and the choices they take."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

MOST = 2**31 - 1
"""Of samples, rows and the like: what every library below can take."""
MOST_PASSES = 100_000


class Jit(str, Enum):
    """Compile predict with XLA?"""

    auto = "auto"
    on = "on"
    off = "off"


class Layout(str, Enum):
    """How a report is printed."""

    text = "text"
    markdown = "markdown"
    json = "json"


class Phase(str, Enum):
    """What is run?"""

    predict = "predict"
    evaluate = "evaluate"
    fit = "fit"


class Sort(str, Enum):
    """Order of the layer table."""

    time = "time"
    name = "name"
    mults = "mults"
    macs = "macs"
    flops = "flops"
    bytes = "bytes"
    params = "params"
    bytes_executed = "bytes_executed"
    busy_ms = "busy_ms"
    thread_ms = "thread_ms"
    parallelism = "parallelism"
    gmacs_per_s = "gmacs_per_s"
    gb_per_s = "gb_per_s"
    intensity = "intensity"
    roof_share = "roof_share"
    output_bytes = "output_bytes"
    peak_live_bytes = "peak_live_bytes"
    calls = "calls"
    ops = "ops"


class Order(str, Enum):
    """Sorted, or as the model runs."""

    sorted = "sorted"
    run = "run"


class Rule(str, Enum):
    """What is counted."""

    mults = "mults"
    macs = "macs"
    flops = "flops"


class Try(str, Enum):
    """What to try beside the run."""

    jit = "jit"


class Format(str, Enum):
    """File format of exported tables."""

    csv = "csv"
    parquet = "parquet"
    json = "json"
    markdown = "markdown"
    perfetto = "perfetto"
    speedscope = "speedscope"
    collapsed = "collapsed"


Out = Annotated[Path, typer.Option("--out", "-o", help="Folder of runs; TensorBoard's --logdir.")]
BatchSize = Annotated[
    int, typer.Option("--batch-size", "-b", min=1, max=MOST, help="Samples per batch.")
]
Repeats = Annotated[
    int | None,
    typer.Option(
        min=0, max=MOST_PASSES, help="Untraced passes that are timed: 5, or 2 with --quick."
    ),
]
Warmup = Annotated[
    int | None,
    typer.Option(
        min=0, max=MOST_PASSES, help="Passes before anything is timed: 1, or 0 with --quick."
    ),
]
PhaseOption = Annotated[
    Phase, typer.Option("--phase", help="What is run; all but predict take --labels and a loss.")
]
Labels = Annotated[
    Path | None,
    typer.Option(help="Labels for --phase: .npy, or .npz by output.", show_default=False),
]
Loss = Annotated[
    str | None,
    typer.Option(help="Keras's name of the loss, where the model is not compiled."),
]
Optimizer = Annotated[
    str | None,
    typer.Option(help="Keras's name of the optimizer, beside --loss; rmsprop if none is named."),
]
Metrics = Annotated[
    list[str] | None,
    typer.Option("--metrics", help="Keras's name of a metric, beside --loss; repeatable."),
]
Keep = Annotated[
    Path | None,
    typer.Option(
        help="Write the model as one epoch of --phase fit trains it: .keras.", show_default=False
    ),
]
Quick = Annotated[
    bool,
    typer.Option(
        "--quick",
        help="A first answer: three passes in all, one of them traced; no --calibrate, and no "
        "passes without tf.data's autotuner.",
    ),
]
Samples = Annotated[int | None, typer.Option(min=1, max=MOST, help="Use only the first N samples.")]
JitOption = Annotated[Jit, typer.Option(help="Compile predict with XLA.")]
AllOps = Annotated[
    bool, typer.Option("--all-ops", help="Record every kernel, also the cheap ones; slower.")
]
Memory = Annotated[
    bool,
    typer.Option("--memory", help="Say who holds the memory, too; one more pass without oneDNN."),
]
TraceBatches = Annotated[
    int | None,
    typer.Option(
        min=1, max=MOST, help="Batches of the traced pass (default: as many as stay readable)."
    ),
]
TraceAll = Annotated[bool, typer.Option("--trace-all", help="Trace the whole pass, however long.")]
Custom = Annotated[
    list[str] | None,
    typer.Option(help="Module (or module:name) that registers custom layers; repeatable."),
]
DataModule = Annotated[
    str | None,
    typer.Option(
        "--data-module",
        help="module:function that returns what predict takes, in place of DATA.",
        show_default=False,
    ),
]
ModelModule = Annotated[
    str | None,
    typer.Option(
        "--model-module",
        help="module:function that returns the model; MODEL then holds its weights.",
        show_default=False,
    ),
]
Keras = Annotated[
    int, typer.Option("--keras", min=2, max=3, help="2 runs the model by Keras 2 (tf_keras).")
]
Unsafe = Annotated[bool, typer.Option("--unsafe", help="Allow Python code inside the model file.")]
InputShape = Annotated[
    list[str] | None,
    typer.Option(help="Shape of one input without the batch, as 224,224,3; repeatable."),
]
Top = Annotated[int, typer.Option(min=0, max=MOST, help="Rows of the layer table; 0 for all.")]
Depth = Annotated[
    int | None,
    typer.Option(min=0, max=MOST, help="Add deeper layers to their containers; 1 is the top."),
]
SortOption = Annotated[
    Sort, typer.Option("--sort", help="Column that orders the layer table, and is shown.")
]
OrderOption = Annotated[Order, typer.Option("--order", help="'run' keeps the model's order.")]
JsonFile = Annotated[
    Path | None,
    typer.Option("--json", help="Also write everything as JSON; - is standard output."),
]
LayoutOption = Annotated[
    Layout, typer.Option("--format", help="How the report is printed: Markdown, say, for an issue.")
]
Verbose = Annotated[
    bool, typer.Option("--verbose", "-v", help="Machine, versions, coverage and the rule, too.")
]
Explain = Annotated[
    bool, typer.Option("--explain", help="Say why each layer takes longer than it multiplies.")
]
RunFolder = Annotated[Path, typer.Argument(help="A run folder, or a folder of runs (the newest).")]
HtmlFile = Annotated[
    Path | None,
    typer.Option("--html", help="Also write a page for a browser; - is standard output."),
]
Salvage = Annotated[
    bool, typer.Option("--salvage", help="Of a truncated trace, report what is whole.")
]
CsvFolder = Annotated[
    Path | None,
    typer.Option(
        "--csv", help="Also write all tables as CSV; to - (standard output) the layers only."
    ),
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but errors.")]
