"""Element-wise operations: so many multiplications and operations per output element."""

from __future__ import annotations

from tftrace.counts.registry import OpRecord, register_count
from tftrace.counts.work import Work


@register_count(
    "Add AddV2 Sub BiasAdd BiasAddV1 Neg Abs Sign Maximum Minimum Relu",
    "Floor Ceil Round Rint NextAfter IsNan IsInf IsFinite",
    "Equal NotEqual Less LessEqual Greater GreaterEqual ApproximateEqual",
    "LogicalAnd LogicalOr LogicalNot Select SelectV2 Bucketize",
    "ToBool BitwiseAnd BitwiseOr BitwiseXor Invert LeftShift RightShift PopulationCount",
)
def one_operation(record: OpRecord) -> Work:
    """Adding, comparing, choosing, rounding, changing sign: ``flops = output elements``."""
    return _each(record, ops=1)


@register_count(
    "Mul MulNoNan Div RealDiv DivNoNan Xdivy Reciprocal Inv Square",
    "FloorDiv TruncateDiv Mod FloorMod TruncateMod",
)
def one_multiplication(record: OpRecord) -> Work:
    """``mults = flops = output elements``; a division multiplies by the reciprocal."""
    return _each(record, mults=1, ops=1)


@register_count("Relu6", "ClipByValue")
def clip(record: OpRecord) -> Work:
    """A minimum and a maximum per element."""
    return _each(record, ops=2)


@register_count("SquaredDifference", "LeakyRelu")
def two_operations(record: OpRecord) -> Work:
    """``(x - y)^2``; ``max(x, alpha * x)``: one multiplication of two operations per element."""
    return _each(record, mults=1, ops=2)


@register_count("Softsign")
def softsign(record: OpRecord) -> Work:
    """``x / (1 + |x|)``: one multiplication (the division) of three operations per element."""
    return _each(record, mults=1, ops=3)


@register_count(
    "Exp Expm1 Log Log1p Sqrt Rsqrt Pow Sigmoid Tanh Softplus Elu",
    "Sin Cos Tan Asin Acos Atan Atan2 Sinh Cosh Asinh Acosh Atanh",
    "Erf Erfc Erfinv Ndtri Lgamma Digamma Igamma Igammac Polygamma Zeta Betainc",
    "BesselI0 BesselI0e BesselI1 BesselI1e BesselJ0 BesselJ1 BesselK0 BesselK0e",
    "BesselK1 BesselK1e BesselY0 BesselY1 Dawsn Expint FresnelCos FresnelSin Spence",
)
def transcendental(record: OpRecord) -> Work:
    """One evaluation per output element, whatever the library does inside."""
    return _each(record, transc=1)


@register_count("Selu", "Xlogy", "Xlog1py")
def scaled_transcendental(record: OpRecord) -> Work:
    """``scale * elu(x)``; ``x * log(y)``: one multiplication and one transcendental each."""
    return _each(record, mults=1, ops=1, transc=1)


@register_count("ComplexAbs")
def complex_magnitude(record: OpRecord) -> Work:
    """``sqrt(re * re + im * im)`` per element."""
    return Work.elementwise(record.out_size(), mults=2, ops=3, transc=1)


@register_count("Angle")
def complex_angle(record: OpRecord) -> Work:
    """``atan2(im, re)`` per element."""
    return Work.elementwise(record.out_size(), transc=1)


@register_count("AddN", "AccumulateNV2")
def add_n(record: OpRecord) -> Work:
    """n tensors of one shape: n - 1 additions per element."""
    return _each(record, ops=len(record.inputs) - 1)


def _each(record: OpRecord, *, mults: int = 0, ops: int = 0, transc: int = 0) -> Work:
    """The same work for every output element."""
    return Work.elementwise(record.out_size(), mults=mults, ops=ops, transc=transc)
