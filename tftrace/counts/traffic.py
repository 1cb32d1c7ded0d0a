"""Bytes an operation reads and writes: its tensors once, less what only changes hands."""

from __future__ import annotations

from tftrace.graph import TensorSpec
from tftrace.graph.types import BRANCHES, CALLS, LOOPS

VIEWS = frozenset(
    [
        "Identity",
        "Reshape",
        "Squeeze",
        "ExpandDims",
        "StopGradient",
        "PreventGradient",
        "Bitcast",
        "EnsureShape",
        "Snapshot",
        "CheckNumerics",
        "DebugIdentityV2",
        "PlaceholderWithDefault",
    ]
)
"""Operations whose first output is their first input under another shape: no data moves."""

FREE = (
    VIEWS
    | frozenset(CALLS + LOOPS + BRANCHES)
    | frozenset(
        [
            "IdentityN",
            "Const",
            "HostConst",
            "Placeholder",
            "Arg",
            "_Arg",
            "_Retval",
            "NoOp",
            "VarHandleOp",
            "ReadVariableOp",
            "Shape",
            "ShapeN",
            "Size",
            "Rank",
            "Assert",
            "VarIsInitializedOp",
            "VariableShape",
            "IteratorGetNext",
            "IteratorGetNextSync",
            "IteratorGetNextAsOptional",
            "OptionalFromValue",
            "OptionalGetValue",
            "OptionalHasValue",
            "OptionalNone",
            "TensorListReserve",
            "EmptyTensorList",
            "TensorListGetItem",
            "TensorListSetItem",
            "TensorListLength",
            "TensorListPushBack",
            "TensorListPopBack",
            "TensorListElementShape",
            "TensorListResize",
        ]
    )
)
"""Operations that touch no tensor data: views, metadata, references, calls."""

# They read from their first input no more than they write.
_PICKS = frozenset(
    [
        "Gather",
        "GatherV2",
        "GatherNd",
        "ResourceGather",
        "ResourceGatherNd",
        "Slice",
        "StridedSlice",
    ]
)
# A list is a handle; its tensors are read or written by these.
_LIST_READS = frozenset(["TensorListStack", "TensorListConcatV2", "TensorListGather"])
_LIST_WRITES = frozenset(["TensorListFromTensor", "TensorListScatterV2", "TensorListSplit"])

# At inference the further outputs only hand the statistics on.
_FUSED_NORMS = frozenset(["FusedBatchNorm", "FusedBatchNormV2", "FusedBatchNormV3"])

HANDLES = frozenset(["resource", "variant"])
"""Element types that refer to data elsewhere."""


def read_bytes(
    op_type: str, inputs: tuple[TensorSpec, ...], outputs: tuple[TensorSpec, ...]
) -> tuple[int | None, ...]:
    """Bytes read from each input, None where its shape or element size is not known."""
    if op_type in FREE:
        return (0,) * len(inputs)
    sizes = [0 if spec.dtype in HANDLES else spec.bytes for spec in inputs]
    if op_type in _PICKS or op_type in _LIST_READS:
        sizes[0] = outputs[0].bytes
    return tuple(sizes)


def written_bytes(
    op_type: str, inputs: tuple[TensorSpec, ...], outputs: tuple[TensorSpec, ...]
) -> tuple[int | None, ...]:
    """Bytes written to each output, None where its shape or element size is not known."""
    if op_type in FREE:
        return (0,) * len(outputs)
    if op_type in _LIST_WRITES:
        return (inputs[0].bytes,)
    if op_type in _FUSED_NORMS:
        return (outputs[0].bytes, *(0 for _ in outputs[1:]))
    return tuple(0 if spec.dtype in HANDLES else spec.bytes for spec in outputs)


def moved_bytes(
    op_type: str, inputs: tuple[TensorSpec, ...], outputs: tuple[TensorSpec, ...]
) -> int | None:
    """Bytes of one execution: all inputs and all outputs once. None if one is not known."""
    total = 0
    for part in (*read_bytes(op_type, inputs, outputs), *written_bytes(op_type, inputs, outputs)):
        if part is None:
            return None
        total += part
    return total
