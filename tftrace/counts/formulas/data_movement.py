"""Operations that move, shape or look up data: no arithmetic on elements."""

from __future__ import annotations

from tftrace.counts.registry import OpRecord, register_count
from tftrace.counts.traffic import FREE
from tftrace.counts.work import Work


@register_count(*sorted(FREE))
def free(record: OpRecord) -> Work:
    """Views, metadata, references and calls (what they call is counted by itself)."""
    return Work.nothing()


@register_count(
    "Cast Transpose ConjugateTranspose Concat ConcatV2 Split SplitV Pack Unpack",
    "ParallelConcat Slice StridedSlice Gather GatherV2 GatherNd ResourceGather",
    "ResourceGatherNd Pad PadV2 MirrorPad Tile BroadcastTo BroadcastArgs Reverse",
    "ReverseV2 ReverseSequence Roll Fill ZerosLike OnesLike Empty DeepCopy Copy",
    "BatchToSpace BatchToSpaceND SpaceToBatch SpaceToBatchND DepthToSpace",
    "SpaceToDepth ExtractImagePatches ExtractVolumePatches Diag DiagPart",
    "MatrixDiag MatrixDiagV2 MatrixDiagV3 MatrixDiagPart MatrixDiagPartV2",
    "MatrixDiagPartV3 MatrixSetDiag MatrixSetDiagV2 MatrixSetDiagV3 MatrixBandPart",
    "ScatterNd TensorScatterUpdate TensorStridedSliceUpdate InplaceUpdate",
    "ResourceScatterUpdate ResourceScatterNdUpdate AssignVariableOp",
    "ResourceStridedSliceAssign OneHot Where Range LinSpace InvertPermutation",
    "DynamicStitch ParallelDynamicStitch DynamicPartition ListDiff",
    "TensorListFromTensor TensorListStack TensorListConcatV2 TensorListGather",
    "TensorListScatterV2 TensorListScatterIntoExistingList TensorListSplit",
    "Complex Real Imag Conj Switch RefSwitch Merge Enter Exit NextIteration",
    "XlaDynamicUpdateSlice XlaDynamicSlice XlaPad XlaGather XlaBroadcastHelper XlaSharding",
    "XlaOptimizationBarrier XlaSetBound XlaSetDynamicDimensionSize",
    "XlaRemoveDynamicDimensionSize XlaSpmdFullToShardShape XlaSpmdShardToFullShape",
    "ConcatOffset BroadcastGradientArgs DataFormatDimMap DataFormatVecPermute ExtractGlimpse",
    "ExtractGlimpseV2 GuaranteeConst CheckNumericsV2 DebugIdentity DebugIdentityV3 Print",
    "BatchMatrixDiag BatchMatrixDiagPart BatchMatrixSetDiag BatchMatrixBandPart",
    "TensorListConcat TensorListConcatLists TensorListScatter TensorListPushBackBatch",
    "TensorMapErase TensorMapHasKey TensorMapInsert TensorMapLookup TensorMapSize",
    "TensorMapStackKeys EmptyTensorMap StridedSliceAssign TileGrad ReadVariableXlaSplitND",
    "AssignVariableXlaConcatND XlaSplitND XlaConcatND DisableCopyOnRead",
    "StatelessRandomGetKeyCounter StatelessRandomGetAlg StatelessRandomGetKeyCounterAlg",
    "StridedSliceGrad",
)
def movement(record: OpRecord) -> Work:
    """No arithmetic; bytes as they come. Changing an element's type is no arithmetic either."""
    return Work()


@register_count(
    "TopK TopKV2 NthElement Unique UniqueV2 UniqueWithCounts UniqueWithCountsV2",
    "XlaSort XlaKeyValueSort XlaVariadicSort ApproxTopK DenseToDenseSetOperation",
    "DenseToSparseSetOperation SparseToSparseSetOperation SetSize",
    "SearchSorted LowerBound UpperBound InTopK InTopKV2",
)
def sorting(record: OpRecord) -> Work:
    """No multiplications; how many comparisons it takes depends on the data."""
    return Work(flops=None, reason=f"{record.type}: comparisons depend on data").with_bytes(
        moved(record)
    )


@register_count(
    "LookupTableFindV2 LookupTableSizeV2 HashTableV2 AnonymousHashTable",
    "MutableHashTableV2 AnonymousMutableHashTable LookupTableImportV2",
    "StringSplit StringSplitV2 StringLower StringUpper StringStrip StringLength",
    "StaticRegexReplace RegexReplace StringJoin StringNGrams Substr AsString",
    "ReduceJoin UnicodeDecode UnicodeDecodeWithOffsets UnicodeTranscode",
    "StringToHashBucketFast StringToHashBucketStrong StringToNumber",
    "RaggedRange RaggedTensorToTensor RaggedTensorToVariant RaggedTensorFromVariant",
    "RaggedGather SparseToDense SparseReshape SparseSlice SparseReorder",
    "UnicodeEncode UnicodeScript RegexFullMatch StaticRegexFullMatch StringFormat PrintV2",
    "StringToHashBucket EncodeBase64 DecodeBase64 DecodePaddedRaw UnsortedSegmentJoin",
    "LookupTableFind LookupTableSize LookupTableExport LookupTableExportV2 LookupTableInsert",
    "LookupTableInsertV2 LookupTableRemoveV2 LookupTableImport HashTable MutableHashTable",
    "MutableHashTableOfTensors MutableHashTableOfTensorsV2 MutableDenseHashTable",
    "MutableDenseHashTableV2 AnonymousMutableHashTableOfTensors",
    "AnonymousMutableDenseHashTable SparseConcat SparseSplit SparseCrossV2",
    "RaggedTensorToSparse RaggedFillEmptyRows SerializeSparse SerializeManySparse",
    "DeserializeSparse DeserializeManySparse Fingerprint",
    "SparseFillEmptyRows SparseCross SparseCrossHashed RaggedCross DecodeRaw",
)
def lookup(record: OpRecord) -> Work:
    """Strings, tables and ragged rows: no arithmetic; sizes, and so bytes, depend on data."""
    count = moved(record)
    reason = None if count is not None else f"{record.type}: bytes depend on data"
    return Work(bytes=count, reason=reason)


def moved(record: OpRecord) -> int | None:
    """Bytes of all tensors once; None where one has no fixed size."""
    specs = (*record.inputs, *record.outputs)
    sizes = [0 if spec.dtype in ("resource", "variant") else spec.bytes for spec in specs]
    return None if None in sizes else sum(size for size in sizes if size is not None)
