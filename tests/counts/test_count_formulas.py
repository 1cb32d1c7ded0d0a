"""Formulas on bare records, some against the textbook algorithm run step by step."""

from itertools import product
from math import prod

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tftrace.counts import OpRecord, Uncountable, Work, count_op, register_count
from tftrace.counts.registry import _FORMULAS
from tftrace.graph import TensorSpec


def record(op_type, inputs, outputs, attrs=None, values=(), dtype="float32"):
    def specs(shapes):
        return tuple(TensorSpec(dtype, shape) for shape in shapes)

    return OpRecord(op_type, specs(inputs), specs(outputs), attrs or {}, tuple(values))


NUMBERS = [
    # type, inputs, outputs, attributes, input values -> mults, macs, flops, transcendentals
    ("BatchMatMulV2", [(3, 2, 5), (3, 5, 4)], [(3, 2, 4)], {}, (), (120, 120, 240, 0)),
    ("BatchMatMulV2", [(3, 5, 2), (5, 4)], [(3, 2, 4)], {"adj_x": True}, (), (120, 120, 240, 0)),
    ("MatMul", [(5, 2), (5, 4)], [(2, 4)], {"transpose_a": True}, (), (40, 40, 80, 0)),
    ("FusedBatchNormV3", [(2, 3, 3, 4), *[(4,)] * 4], [(2, 3, 3, 4)], {"is_training": False}, (),
     (72 + 8, 0, 144 + 16, 4)),
    ("FusedBatchNormV3", [(2, 3, 3, 4), *[(4,)] * 4], [(2, 3, 3, 4)], {"is_training": True}, (),
     (72 + 8 + 72 + 8, 0, 144 + 16 + 4 * 72, 4)),
    ("LRN", [(1, 2, 2, 8)], [(1, 2, 2, 8)], {"depth_radius": 2}, (), (96, 0, 32 * 8, 32)),
    ("Cumsum", [(3, 4), ()], [(3, 4)], {}, (None, 1), (0, 0, 9, 0)),
    ("Cumprod", [(3, 4), ()], [(3, 4)], {}, (None, 0), (8, 0, 8, 0)),
    ("CumulativeLogsumexp", [(3, 4), ()], [(3, 4)], {}, (None, 1), (0, 0, 27, 18)),
    ("Prod", [(3, 4), (1,)], [(3,)], {}, (), (9, 0, 9, 0)),
    ("EuclideanNorm", [(3, 4), (1,)], [(3,)], {}, (), (12, 0, 21, 3)),
    ("L2Loss", [(3, 4)], [()], {}, (), (13, 0, 24, 0)),
    ("SegmentSum", [(6, 2), (6,)], [(3, 2)], {}, (), (0, 0, 12, 0)),
    ("TensorScatterAdd", [(9,), (4, 1), (4,)], [(9,)], {}, (), (0, 0, 4, 0)),
    ("UnsortedSegmentProd", [(6,), (6,), ()], [(3,)], {}, (), (6, 0, 6, 0)),
    ("DenseBincount", [(7,), (), (0,)], [(5,)], {}, (), (0, 0, 7, 0)),
    ("MaxPoolV2", [(1, 4, 4, 3), (4,), (4,)], [(1, 2, 2, 3)], {}, (None, [1, 2, 2, 1], None),
     (0, 0, 36, 0)),
    ("AddN", [(5,), (5,), (5,)], [(5,)], {}, (), (0, 0, 10, 0)),
    ("SquaredDifference", [(5,), (5,)], [(5,)], {}, (), (5, 0, 10, 0)),
    ("Dilation2D", [(1, 4, 4, 2), (3, 3, 2)], [(1, 2, 2, 2)], {}, (), (0, 0, 8 * 17, 0)),
    ("DepthwiseConv2dNativeBackpropInput", [(4,), (3, 3, 4, 2), (1, 5, 5, 8)], [(1, 10, 10, 4)],
     {}, (), (1800, 1800, 3600, 0)),
    ("Conv2DBackpropInputV2", [(1, 10, 10, 4), (3, 3, 4, 8), (1, 5, 5, 8)], [(1, 10, 10, 4)],
     {}, (), (200 * 36, 200 * 36, 200 * 72, 0)),
    # Gradients. Convolution 3x3 of 4 channels to 8 on 5x5 places: 200 x 36; in 2 groups of 2: half.
    ("Conv2DBackpropFilter", [(1, 5, 5, 4), (4,), (1, 5, 5, 8)], [(3, 3, 4, 8)], {}, (),
     (7200, 7200, 14400, 0)),
    ("Conv2DBackpropFilter", [(1, 5, 5, 4), (4,), (1, 5, 5, 8)], [(3, 3, 2, 8)], {}, (),
     (3600, 3600, 7200, 0)),
    ("Conv2DBackpropInput", [(4,), (3, 3, 2, 8), (1, 5, 5, 8)], [(1, 5, 5, 4)], {}, (),
     (3600, 3600, 7200, 0)),
    ("Conv3DBackpropFilterV2", [(1, 4, 4, 4, 2), (5,), (1, 2, 2, 2, 3)], [(3, 3, 3, 2, 3)], {}, (),
     (24 * 54, 24 * 54, 24 * 108, 0)),
    ("DepthwiseConv2dNativeBackpropFilter", [(1, 5, 5, 4), (4,), (1, 5, 5, 8)], [(3, 3, 4, 2)],
     {}, (), (1800, 1800, 3600, 0)),
    # Dense of 5 to 4 on 3 samples: x^T g is (5, 3) x (3, 4), g w^T is (3, 4) x (4, 5).
    ("MatMul", [(3, 5), (3, 4)], [(5, 4)], {"transpose_a": True}, (), (60, 60, 120, 0)),
    ("MatMul", [(3, 4), (5, 4)], [(3, 5)], {"transpose_b": True}, (), (60, 60, 120, 0)),
    ("BatchMatMulV2", [(2, 3, 4), (2, 5, 4)], [(2, 3, 5)], {"adj_y": True}, (),
     (120, 120, 240, 0)),
    ("BiasAddGrad", [(2, 5, 5, 8)], [(8,)], {}, (), (0, 0, 400 - 8, 0)),
    ("ReluGrad", [(3, 4), (3, 4)], [(3, 4)], {}, (), (0, 0, 12, 0)),
    ("Relu6Grad", [(3, 4), (3, 4)], [(3, 4)], {}, (), (0, 0, 24, 0)),
    ("LeakyReluGrad", [(3, 4), (3, 4)], [(3, 4)], {}, (), (12, 0, 24, 0)),
    ("EluGrad", [(3, 4), (3, 4)], [(3, 4)], {}, (), (12, 0, 36, 0)),
    ("TanhGrad", [(3, 4), (3, 4)], [(3, 4)], {}, (), (24, 0, 36, 0)),
    ("SoftplusGrad", [(3, 4), (3, 4)], [(3, 4)], {}, (), (12, 0, 36, 12)),
    ("SoftsignGrad", [(3, 4), (3, 4)], [(3, 4)], {}, (), (24, 0, 48, 0)),
    ("RsqrtGrad", [(8,), (8,)], [(8,)], {}, (), (32, 0, 32, 0)),
    ("SqrtGrad", [(8,), (8,)], [(8,)], {}, (), (16, 0, 16, 0)),
    ("ReciprocalGrad", [(8,), (8,)], [(8,)], {}, (), (16, 0, 24, 0)),
    # Pools of 2x2: 3 comparisons and an addition per gradient; a division and 4 additions.
    ("MaxPoolGrad", [(1, 4, 4, 3), (1, 2, 2, 3), (1, 2, 2, 3)], [(1, 4, 4, 3)],
     {"ksize": [1, 2, 2, 1]}, (), (0, 0, 12 * 4, 0)),
    ("AvgPoolGrad", [(4,), (1, 2, 2, 3)], [(1, 4, 4, 3)], {"ksize": [1, 2, 2, 1]}, (),
     (12, 0, 12 * 5, 0)),
    # 72 elements in 4 channels: x - mean; its product with g; two sums of 72 - 4; a g + b d + c.
    # Gradients of 2 x 2 images doubled to 4 x 4, and of a border of one around 3 x 3 put back.
    ("ResizeNearestNeighborGrad", [(1, 4, 4, 3), (2,)], [(1, 2, 2, 3)], {}, (), (0, 0, 48, 0)),
    ("ResizeBilinearGrad", [(1, 4, 4, 3), (1, 2, 2, 3)], [(1, 2, 2, 3)], {}, (),
     (144, 0, 480, 0)),
    ("ResizeBicubicGrad", [(1, 4, 4, 3), (1, 2, 2, 3)], [(1, 2, 2, 3)], {}, (),
     (960, 0, 1728, 0)),
    ("MirrorPadGrad", [(1, 5, 5, 2), (4, 2)], [(1, 3, 3, 2)], {}, (), (0, 0, 50 - 18, 0)),
    ("FusedBatchNormGradV3", [(2, 3, 3, 4), (2, 3, 3, 4), *[(4,)] * 4], [(2, 3, 3, 4)],
     {"is_training": True}, (), (72 * 3 + 4 * 8, 0, 72 + 72 + 68 + 68 + 72 * 4 + 4 * 9, 4)),
    ("FusedBatchNormGradV3", [(2, 3, 3, 4), (2, 3, 3, 4), *[(4,)] * 4], [(2, 3, 3, 4)],
     {"is_training": False}, (), (72 * 2 + 4 * 2, 0, 72 + 72 + 68 + 68 + 72 + 4 * 3, 4)),
    # 3 rows of 4 logits, 12: max 9, minus 12, sum 9, minus 12, times 12, sum 9, / 12, minus 12.
    ("SoftmaxCrossEntropyWithLogits", [(3, 4), (3, 4)], [(3,), (3, 4)], {}, (),
     (24, 0, 9 + 12 + 9 + 12 + 12 + 9 + 12 + 12, 12 + 3)),
    ("SparseSoftmaxCrossEntropyWithLogits", [(3, 4), (3,)], [(3,), (3, 4)], {}, (),
     (12, 0, 9 + 12 + 9 + 3 + 12 + 3, 12 + 3)),
    ("QuantizeAndDequantizeV3", [(10,), (), (), ()], [(10,)], {}, (), (20, 0, 50, 0)),
    ("ResizeBicubic", [(1, 2, 2, 3), (2,)], [(1, 4, 4, 3)], {}, (), (960, 0, 1680, 0)),
    ("CropAndResize", [(1, 8, 8, 3)], [(2, 4, 4, 3)], {"method": "nearest"}, (), (0, 0, 0, 0)),
    ("CropAndResize", [(1, 8, 8, 3)], [(2, 4, 4, 3)], {"method": "bilinear"}, (),
     (288, 0, 864, 0)),
    ("ImageProjectiveTransformV3", [(1, 4, 4, 3)], [(1, 4, 4, 3)], {"interpolation": "NEAREST"},
     (), (128, 0, 224, 0)),
    ("ImageProjectiveTransformV3", [(1, 4, 4, 3)], [(1, 4, 4, 3)], {"interpolation": "BILINEAR"},
     (), (128 + 288, 0, 224 + 576, 0)),
    ("Cross", [(4, 3), (4, 3)], [(4, 3)], {}, (), (24, 0, 36, 0)),
    ("ComplexAbs", [(5,)], [(5,)], {}, (), (10, 0, 15, 5)),
    ("RandomUniform", [(2,)], [(3, 4)], {}, (), (0, 0, 0, 12)),
    ("QuantizeV2", [(10,)], [(10,)], {}, (), (10, 0, 40, 0)),
    ("Dequantize", [(10,)], [(10,)], {}, (), (10, 0, 20, 0)),
    ("FakeQuantWithMinMaxVars", [(10,)], [(10,)], {}, (), (20, 0, 80, 0)),
    # Detection: comparisons, of which only the decoder's are known: 3 x 2 steps of 5 classes.
    ("CTCGreedyDecoder", [(3, 2, 5), (2,)], [(4, 2), (4,), (2,), (2, 1)], {}, (),
     (0, 0, 6 * 4 + 6 + 6, 0)),
    # Rows of 4: three indices pick twelve elements, which give two rows.
    ("SegmentMean", [(6, 4), (6,)], [(2, 4)], {}, (), (8, 0, 24 + 8, 0)),
    ("SparseSegmentSum", [(9, 4), (3,), (3,)], [(2, 4)], {}, (), (0, 0, 12, 0)),
    ("SparseSegmentMean", [(9, 4), (3,), (3,)], [(2, 4)], {}, (), (8, 0, 12 + 8, 0)),
    ("SparseSegmentSqrtNWithNumSegments", [(9, 4), (3,), (3,), ()], [(2, 4)], {}, (),
     (8, 0, 12 + 8, 2)),
    # Five values, each with a row of seven.
    ("SparseTensorDenseMatMul", [(5, 2), (5,), (2,), (9, 7)], [(4, 7)], {}, (), (35, 35, 70, 0)),
    ("SparseTensorDenseMatMul", [(5, 2), (5,), (2,), (7, 9)], [(4, 7)], {"adjoint_b": True}, (),
     (35, 35, 70, 0)),
    ("SparseDenseCwiseMul", [(5, 2), (5,), (2,), (4, 9)], [(5,)], {}, (), (5, 0, 5, 0)),
    ("AssignAddVariableOp", [(), (3, 4)], [], {}, (), (0, 0, 12, 0)),
    ("ResourceScatterNdMax", [(), (3, 1), (3, 4)], [], {}, (), (0, 0, 12, 0)),
    # Colors: 4 x 4 pixels; contrast: 48 elements, a mean for each of 3 channels.
    ("RGBToHSV", [(4, 4, 3)], [(4, 4, 3)], {}, (), (16 * 4, 0, 16 * 15, 0)),
    ("HSVToRGB", [(4, 4, 3)], [(4, 4, 3)], {}, (), (16 * 7, 0, 16 * 26, 0)),
    ("AdjustHue", [(4, 4, 3), ()], [(4, 4, 3)], {}, (), (16 * 11, 0, 16 * 44, 0)),
    ("AdjustSaturation", [(4, 4, 3), ()], [(4, 4, 3)], {}, (), (16 * 12, 0, 16 * 44, 0)),
    ("AdjustContrastv2", [(1, 4, 4, 3), ()], [(1, 4, 4, 3)], {}, (),
     (48 + 3, 0, (48 - 3) + 3 + 3 * 48, 0)),
    ("HistogramFixedWidth", [(20,), (2,), ()], [(5,)], {}, (), (20, 0, 100, 0)),
    ("RandomGamma", [(2,), (3, 4)], [(5, 3, 4)], {}, (), (0, 0, 0, 60)),
    ("StatelessRandomPoisson", [(2,), (2,), (3,)], [(5, 3)], {}, (), (0, 0, 0, 15)),
    ("RandomShuffle", [(5, 3)], [(5, 3)], {}, (), (0, 0, 0, 0)),
    ("XlaDynamicUpdateSlice", [(2, 9, 4), (2, 1, 4), (3,)], [(2, 9, 4)], {}, (), (0, 0, 0, 0)),
    ("XlaEinsum", [(2, 3), (3, 5)], [(2, 5)], {"equation": "ab,bc->ac"}, (), (30, 30, 60, 0)),
    ("QuantizedMatMul", [(2, 5), (5, 4)], [(2, 4)], {}, (), (40, 40, 80, 0)),
]  # fmt: skip


@pytest.mark.parametrize(
    ("op_type", "inputs", "outputs", "attrs", "values", "expected"),
    NUMBERS,
    ids=[f"{row[0]}-{i}" for i, row in enumerate(NUMBERS)],
)
def test_formula(op_type, inputs, outputs, attrs, values, expected):
    work = count_op(record(op_type, inputs, outputs, attrs, values))
    assert (work.mults, work.macs, work.flops, work.transcendentals) == expected
    assert work.reason is None


# --- einsum: count the products and sums of the naive evaluation -------------------------------
def naive_einsum(operands, result, sizes):
    """(multiplications, additions): sum what only one operand has first, then multiply."""
    tables, adds = [], 0
    for index, labels in enumerate(operands):
        others = set().union(*(set(o) for i, o in enumerate(operands) if i != index))
        kept = [x for x in labels if x in others or x in result]
        cells = set()
        for point in product(*(range(sizes[x]) for x in labels)):
            cell = tuple(point[labels.index(x)] for x in kept)
            adds += cell in cells
            cells.add(cell)
        tables.append(kept)
    labels = sorted(set(tables[0]) | set(tables[1]))
    mults, cells = 0, set()
    for point in product(*(range(sizes[x]) for x in labels)):
        mults += 1
        cell = tuple(point[labels.index(x)] for x in result)
        adds += cell in cells
        cells.add(cell)
    return mults, adds


@st.composite
def equations(draw):
    labels = "abcde"
    operands = [
        draw(st.lists(st.sampled_from(labels), min_size=1, max_size=4, unique=True))
        for _ in range(2)
    ]
    present = sorted(set(operands[0]) | set(operands[1]))
    result = draw(st.lists(st.sampled_from(present), max_size=4, unique=True))
    sizes = {label: draw(st.integers(1, 3)) for label in labels}
    return operands, result, sizes


@given(equations())
def test_einsum_equals_the_naive_evaluation(equation):
    operands, result, sizes = equation
    text = f"{','.join(map(''.join, operands))}->{''.join(result)}"
    shapes = [tuple(sizes[x] for x in labels) for labels in operands]
    work = count_op(record("Einsum", shapes, [tuple(sizes[x] for x in result)], {"equation": text}))
    mults, adds = naive_einsum(operands, result, sizes)
    assert work.mults == mults
    contracted = (set(operands[0]) & set(operands[1])) - set(result)
    assert work.macs == (mults if contracted else 0)
    # A multiply-accumulate counts its addition even where it starts a sum.
    started = prod(sizes[x] for x in result) if contracted else 0
    assert work.flops == mults + adds + started


def test_einsum_aligns_ellipses_on_the_right_and_broadcasts():
    one = record(
        "Einsum", [(7, 2, 5, 3), (2, 3, 4)], [(7, 2, 5, 4)], {"equation": "...ab,...bc->...ac"}
    )
    assert count_op(one).macs == 7 * 2 * 5 * 3 * 4
    single = record("Einsum", [(5, 6)], [(6, 5)], {"equation": "ab->ba"})
    assert count_op(single).flops == 0
    summed = record("Einsum", [(5, 6)], [(5,)], {"equation": "ab->a"})
    assert count_op(summed).flops == 25


# --- linear algebra: run the algorithm, count its steps ----------------------------------------
@given(st.integers(1, 9), st.integers(1, 3))
def test_triangular_solve_is_forward_substitution(n, columns):
    macs = divisions = 0
    for _ in range(columns):
        for i in range(n):
            macs += len(range(i))
            divisions += 1
    work = count_op(record("MatrixTriangularSolve", [(n, n), (n, columns)], [(n, columns)]))
    assert (work.macs, work.mults) == (macs, macs + divisions)


@given(st.integers(1, 9))
def test_cholesky_is_cholesky(n):
    macs = divisions = roots = 0
    for j in range(n):
        macs += j
        roots += 1
        for _ in range(j + 1, n):
            macs += j
            divisions += 1
    work = count_op(record("Cholesky", [(2, n, n)], [(2, n, n)]))
    assert work.macs == 2 * macs
    assert work.mults == 2 * (macs + divisions)
    assert work.transcendentals == 2 * roots


# --- what is not known ---------------------------------------------------------------------------
def test_an_unknown_type_is_null_with_a_reason():
    work = count_op(record("Frobnicate", [(2,)], [(2,)]))
    assert (work.mults, work.macs, work.flops, work.bytes) == (None,) * 4
    assert work.reason == "no formula for operation type Frobnicate"


@pytest.mark.parametrize(
    ("unknown", "reason"),
    [
        (record("Relu", [(None, 2)], [(None, 2)]), "shape of output 0 is not known"),
        (record("MatMul", [None, (5, 4)], [(2, 4)]), "shape of input 0 is not known"),
        (record("Cumsum", [(3, 4), ()], [(3, 4)], {}, (None, None)), "not static"),
        (record("FFT", [(8,)], [(8,)]), "library's choice"),
        (record("Mul", [(8,), (8,)], [(8,)], dtype="complex64"), "complex numbers"),
        (record("ScaleAndTranslate", [(1, 2, 2, 3)], [(1, 4, 4, 3)]), "differs from output"),
        (record("Einsum", [(2,), (2,), (2,)], [(2,)], {"equation": "a,a,a->a"}), "3 operands"),
    ],
    ids=lambda value: value.type if isinstance(value, OpRecord) else "",
)
def test_what_a_formula_cannot_know_is_null_with_a_reason(unknown, reason):
    work = count_op(unknown)
    assert work.mults is None
    assert work.bytes is None
    assert reason in work.reason


# --- complex numbers -----------------------------------------------------------------------------
COMPLEX = [
    record("MatMul", [(2, 4), (4, 8)], [(2, 8)], dtype="complex64"),
    record("BatchMatMulV2", [(3, 2, 4), (3, 4, 8)], [(3, 2, 8)], dtype="complex128"),
    record("Einsum", [(2, 4), (4, 8)], [(2, 8)], {"equation": "ab,bc->ac"}, dtype="complex64"),
    record("Sum", [(3, 4), (1,)], [(3,)], dtype="complex64"),
    record("Mean", [(3, 4), (1,)], [(3,)], dtype="complex64"),
    record("Prod", [(3, 4), (1,)], [(3,)], dtype="complex64"),
    record("Cumsum", [(3, 4), ()], [(3, 4)], {}, (None, 1), dtype="complex64"),
    record("SegmentSum", [(6, 2), (6,)], [(3, 2)], dtype="complex64"),
    record("MatrixTriangularSolve", [(3, 3), (3, 1)], [(3, 1)], dtype="complex64"),
    record("AddN", [(5,), (5,)], [(5,)], dtype="complex64"),
    record("Exp", [(5,)], [(5,)], dtype="complex128"),
    OpRecord("L2Loss", (TensorSpec("complex64", (5,)),), (TensorSpec("float32", ()),)),
]


@pytest.mark.parametrize("op", COMPLEX, ids=lambda op: op.type)
def test_arithmetic_of_complex_numbers_is_null(op):
    work = count_op(op)
    assert (work.mults, work.macs, work.flops, work.transcendentals) == (None,) * 4
    assert work.reason == f"{op.type} of complex numbers is not counted"


@pytest.mark.parametrize("kind", ["Transpose", "ConcatV2", "Conj", "Real"])
def test_moving_complex_numbers_is_known(kind):
    work = count_op(record(kind, [(3, 4)], [(4, 3)], dtype="complex64"))
    assert (work.mults, work.flops, work.bytes) == (0, 0, 2 * 12 * 8)


@pytest.mark.parametrize(("kind", "work"), [("ComplexAbs", (10, 15, 5)), ("Angle", (0, 0, 5))])
def test_magnitude_and_angle_are_known(kind, work):
    """``sqrt(re * re + im * im)`` and ``atan2(im, re)`` per element."""
    op = OpRecord(kind, (TensorSpec("complex64", (5,)),), (TensorSpec("float32", (5,)),))
    found = count_op(op)
    assert (found.mults, found.flops, found.transcendentals) == work
    assert found.bytes == 5 * 8 + 5 * 4


@pytest.mark.usefixtures("clean_registry")
def test_a_users_formula_of_complex_numbers_holds():
    @register_count("MatMul")
    def mine(op):
        return Work.contraction(4 * op.out_size() * op.in_shape()[1])

    assert count_op(COMPLEX[0]).macs == 4 * 2 * 4 * 8


def test_sorting_multiplies_nothing_and_compares_an_unknown_number_of_times():
    work = count_op(record("TopKV2", [(4, 9), ()], [(4, 3), (4, 3)]))
    assert (work.mults, work.macs, work.flops) == (0, 0, None)
    assert work.bytes == 4 * (36 + 1 + 12 + 12)
    assert "comparisons" in work.reason


def test_choosing_boxes_multiplies_no_element():
    shapes = [(9, 4), (9,), (), (), ()]
    work = count_op(record("NonMaxSuppressionV4", shapes, [(5,), ()]))
    assert (work.mults, work.macs, work.flops) == (0, 0, None)
    assert work.bytes == 4 * (36 + 9 + 3 + 5 + 1)
    open_shape = count_op(record("NonMaxSuppressionV3", shapes, [(None,)]))
    assert (open_shape.mults, open_shape.bytes) == (0, None)
    assert "depend on data" in open_shape.reason


def test_bytes_that_depend_on_data_are_null_and_the_arithmetic_is_not():
    work = count_op(record("StringLower", [(3,)], [(3,)], dtype="string"))
    assert (work.mults, work.bytes) == (0, None)
    assert work.reason
    cast = count_op(record("Cast", [(3,)], [(3,)], dtype="string"))
    assert (cast.mults, cast.bytes) == (0, None)
    assert cast.reason


# --- registering ---------------------------------------------------------------------------------
@pytest.fixture
def clean_registry():
    before = dict(_FORMULAS)
    yield
    _FORMULAS.clear()
    _FORMULAS.update(before)


@pytest.mark.usefixtures("clean_registry")
def test_users_register_formulas_and_replace_built_in_ones():
    @register_count("MyOp", "MyOther")
    def mine(op):
        return Work.contraction(op.out_size() * 27)

    work = count_op(record("MyOther", [(4,)], [(2,)]))
    assert (work.mults, work.flops, work.bytes) == (54, 108, 4 * 6)

    @register_count("Relu")
    def strange(op):
        return Work(mults=7, bytes=1)

    work = count_op(record("Relu", [(4,)], [(4,)]))
    assert (work.mults, work.bytes) == (7, 1)


@pytest.mark.usefixtures("clean_registry")
def test_a_formula_may_say_that_it_does_not_know():
    @register_count("MyOp")
    def mine(op):
        raise Uncountable("only on Tuesdays")

    assert count_op(record("MyOp", [(4,)], [(2,)])) == Work.unknown("only on Tuesdays")


@pytest.mark.parametrize("arguments", [(), (len,)])
def test_registering_nothing_or_no_name_is_refused(arguments):
    with pytest.raises(TypeError, match="register_count needs operation types"):
        register_count(*arguments)
