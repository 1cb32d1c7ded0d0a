"""TensorFlow's op types that have no formula, in groups with the reason why."""

import re
from pathlib import Path

import tensorflow as tf

from tftrace.counts import formulas  # noqa: F401  (registers them)
from tftrace.counts.registry import registered

PAGE = Path(__file__).parents[2] / "docs" / "uncounted.md"


GROUPS: list[tuple[str, str, str]] = [
    (
        "TPU, several devices and collectives",
        "they move data between machines, or run on accelerators that tftrace does not measure",
        r"TPU|^Collective|^Infeed|^Outfeed|^Nccl|^Send|^Recv|XlaSparse|AllReduce|AllToAll|^CrossReplica"
        r"|SparseCore|Minibatch|^Prelinearize|^RemoteCall|^DeviceIndex|^SyncDevice|^GlobalIterId"
        r"|^Batch(Function)?$|^Unbatch|^ConvertTo|^ConfigureDistributed|^ShutdownDistributed"
        r"|^DistributedSave|^ComputeBatchSize|^SortListOf",
    ),
    (
        "Estimators",
        "parts of trees, linear and clustering models that TensorFlow has removed",
        r"BoostedTrees|^Sdca|^Kmeans|^KMC2|^NearestNeighbors|^IsotonicRegression",
    ),
    (
        "Training",
        "gradients, optimizer steps and losses that the training of a Keras model rarely has",
        r"Grad|Backprop|^(Sparse|Resource)*(Apply|SparseApply)|Accumulator|CrossEntropy|^CTCLoss"
        r"|CandidateSampler|^ComputeAccidentalHits",
    ),
    (
        "Input pipeline and files",
        "they prepare data before the model, and what they do depends on the data",
        r"Dataset|Iterator|Reader|^Decode|^Encode|^Parse|Queue|^ReadFile|^WriteFile|^Barrier"
        r"|^RecordInput|Stage$|^(Map|OrderedMap)(Un)?(Stage|Clear|Incomplete|Peek|Size)|Unstage"
        r"|^Stage|^(Dummy|Anonymous|Delete).*(Memory|Seed|Device|Iteration)|ThreadPool|StatsAgg"
        r"|CompressElement|^MatchingFiles|^(Get)?Options|^Sample.*BoundingBox|SampleDistorted"
        r"|^Sharded|^ExtractJpegShape|^InitializeTable|^Immutable|^Unwrap|^Wrap|^Window"
        r"|ElementAtIndex|^SerializeTensor|^Generate(Vocab)|^LoadAndRemap|^FileSystem",
    ),
    (
        "Checkpoints, summaries and debugging",
        "they save, log or check, and compute nothing that a model gives",
        r"Save|^Restore|Summary|^Debug|^MergeV2|^Timestamp|^ImportEvent|^Abort|^DrawBounding"
        r"|^Worker|^CheckPinned",
    ),
    (
        "Variables, locks, stacks and loops of version 1",
        "references and loops that count turns with frames, which are not followed",
        r"^Ref|^(Temporary)?Variable|^Assign|^Scatter(Nd)?(Add|Sub|Mul|Div|Max|Min|Update)|^Stack"
        r"|^TensorArray|^LoopCond|^CountUpTo|^ResourceCountUpTo|Mutex|Session|^DestroyTemporary"
        r"|^IsVariable|^DestroyResource|^ControlTrigger|^PlaceholderV2|^FakeParam|^Fact|^CopyHost",
    ),
    (
        "Functions of anyone",
        "what they compute stands outside the graph, or in a function applied so often as data say",
        r"PyFunc|^MapDefun|^For$|^CompositeTensor",
    ),
    (
        "Operations of XLA",
        "a program of XLA's own inside, or dimension numbers that are no plain attribute",
        r"^Xla",
    ),
    (
        "Quantized kernels",
        "converters of frozen graphs and the graph optimizer make them; what Keras traces has none",
        r"^Quantized|^Requant|^Uniform(Quantized|Quantize|Dequantize|Requantize)|QuantizeDown"
        r"|^Fused(Pad|Resize)",
    ),
    (
        "Recurrent kernels",
        "whole layers in one kernel, made by version 1 or on a GPU; their layout is the library's",
        r"CudnnRNN|LSTM|^GRUBlock",
    ),
    (
        "Sparse tensors and matrices",
        "how many values there are depends on data",
        r"Sparse|CSR|^DenseCount|^RaggedCount",
    ),
    (
        "Data decides",
        "how many steps are taken depends on values",
        r"^EditDistance|Fractional|BoundingBoxProposals",
    ),
    ("Not written yet", "possible, and nobody has met one in a model", r""),
]


def op_types() -> list[str]:
    """Every type that Python can make, those of XLA included."""
    from tensorflow.compiler.tf2xla.ops import gen_xla_ops

    names = {*dir(tf.raw_ops), *(name for name in dir(gen_xla_ops) if name.startswith("Xla"))}
    return sorted(name for name in names if not name.startswith("_"))


def uncounted() -> dict[str, list[str]]:
    """Types that have no formula, by group, sorted; a type is in the first group that it fits."""
    found: dict[str, list[str]] = {title: [] for title, _, _ in GROUPS}
    for name in op_types():
        if not registered(name):
            found[next(t for t, _, pattern in GROUPS if re.search(pattern, name))].append(name)
    return found


def page() -> str:
    """``docs/uncounted.md``."""
    found = uncounted()
    total = sum(map(len, found.values()))
    lines = [
        "# Op types that are not counted",
        "",
        f"Of the {len(op_types()):,} op types that TensorFlow "
        f"{tf.__version__} lets Python make, {total:,} have no formula.",
        "A model that runs one has null in its totals, with the type in the coverage line; "
        "[counting](counting.md) says how to add a formula.",
        "`python tests/counts/uncounted.py` writes this page, and a test holds it to what is "
        "registered.",
    ]
    for title, reason, _ in GROUPS:
        names = ", ".join(f"`{name}`" for name in found[title])
        lines += ["", f"## {title} ({len(found[title])})", "", f"{reason[0].upper()}{reason[1:]}."]
        lines += ["", names or "None."]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page())
