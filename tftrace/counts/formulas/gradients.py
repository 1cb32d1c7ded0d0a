"""Gradients that TensorFlow has operations of their own for, and losses that come with theirs.

A product's two gradients are products (``MatMul``, ``Einsum``) and counted as such; that of a
convolution by its input is the transposed convolution, in `tftrace.counts.formulas.conv`.
"""

from __future__ import annotations

from math import prod

from tftrace.counts.registry import OpRecord, register_count
from tftrace.counts.work import Work


@register_count(
    "Conv2DBackpropFilter Conv2DBackpropFilterV2 Conv3DBackpropFilter Conv3DBackpropFilterV2",
)
def filter_gradient(record: OpRecord) -> Work:
    """Input, sizes, gradient ``(N, *positions, filters)`` -> ``(*window, C / groups, filters)``.

    ``macs = N * positions * filters * window * C / groups``, as many as the convolution's: each
    element of the gradient meets each input element that its output was made of.
    """
    return Work.contraction(record.in_size(2) * prod(record.out_shape()[:-1]))


@register_count("DepthwiseConv2dNativeBackpropFilter")
def depthwise_filter_gradient(record: OpRecord) -> Work:
    """Input, sizes, gradient -> ``(kh, kw, C, multiplier)``: ``macs = gradient * kh * kw``."""
    return Work.contraction(record.in_size(2) * prod(record.out_shape()[:2]))


@register_count("BiasAddGrad")
def bias_gradient(record: OpRecord) -> Work:
    """n elements to C channels: n - C additions."""
    return Work(flops=max(0, record.in_size() - record.out_size()))


@register_count("ReluGrad")
def relu_gradient(record: OpRecord) -> Work:
    """``g where y > 0``: one choice per element."""
    return Work.elementwise(record.out_size(), ops=1)


@register_count("Relu6Grad")
def relu6_gradient(record: OpRecord) -> Work:
    """``g where 0 < y < 6``: two comparisons per element."""
    return Work.elementwise(record.out_size(), ops=2)


@register_count("LeakyReluGrad")
def leaky_relu_gradient(record: OpRecord) -> Work:
    """``g where x > 0, alpha * g elsewhere``: a multiplication of two operations."""
    return Work.elementwise(record.out_size(), mults=1, ops=2)


@register_count("EluGrad SeluGrad")
def elu_gradient(record: OpRecord) -> Work:
    """``g where y > 0, g * (y + c) elsewhere``: a multiplication of three operations."""
    return Work.elementwise(record.out_size(), mults=1, ops=3)


@register_count("SigmoidGrad TanhGrad")
def sigmoid_gradient(record: OpRecord) -> Work:
    """``g * y * (1 - y)``; ``g * (1 - y * y)``: two multiplications of three operations."""
    return Work.elementwise(record.out_size(), mults=2, ops=3)


@register_count("SoftplusGrad")
def softplus_gradient(record: OpRecord) -> Work:
    """``g / (1 + exp(-x))``: one multiplication (the division) of three operations, one exp."""
    return Work.elementwise(record.out_size(), mults=1, ops=3, transc=1)


@register_count("SoftsignGrad")
def softsign_gradient(record: OpRecord) -> Work:
    """``g / (1 + |x|)^2``: a square and a division among four operations."""
    return Work.elementwise(record.out_size(), mults=2, ops=4)


@register_count("RsqrtGrad")
def rsqrt_gradient(record: OpRecord) -> Work:
    """``g * (-1/2) * y^3``: four multiplications per element."""
    return Work.elementwise(record.out_size(), mults=4, ops=4)


@register_count("SqrtGrad")
def sqrt_gradient(record: OpRecord) -> Work:
    """``g * (1/2) / y``: two multiplications per element."""
    return Work.elementwise(record.out_size(), mults=2, ops=2)


@register_count("InvGrad ReciprocalGrad")
def reciprocal_gradient(record: OpRecord) -> Work:
    """``-g * y * y``: two multiplications of three operations."""
    return Work.elementwise(record.out_size(), mults=2, ops=3)


@register_count("MaxPoolGrad MaxPool3DGrad")
def max_pool_gradient(record: OpRecord) -> Work:
    """Input, output, gradient; window of k elements.

    The maximum is looked for again, k - 1 comparisons, and its place gets one addition.
    """
    return Work.elementwise(record.in_size(2), ops=prod(record.attrs["ksize"]))


@register_count("AvgPoolGrad AvgPool3DGrad")
def average_pool_gradient(record: OpRecord) -> Work:
    """Sizes, gradient; window of k elements: one division and k additions per gradient."""
    return Work.elementwise(record.in_size(1), mults=1, ops=1 + prod(record.attrs["ksize"]))


@register_count("FusedBatchNormGrad FusedBatchNormGradV2 FusedBatchNormGradV3")
def fused_batch_norm_gradient(record: OpRecord) -> Work:
    """Gradient g, x, scale, mean, variance; n elements in C channels.

    In training, with ``d = x - mean`` and sums over all but the channels: ``sum(g)``,
    ``sum(g * d)``, and ``a * g + b * d + c`` per element: 3 n multiplications among 8 n - 2 C
    operations. Per channel the inverse deviation (an addition, a root apart), its square, ``a``,
    the scale's gradient, two means, ``b`` (2) and ``c``: 8 multiplications and an addition.
    With fixed statistics the input's gradient is ``a * g``: 2 n multiplications among
    5 n - 2 C operations, and per channel ``a``, the scale's gradient and an addition.
    """
    size, channels = record.in_size(), record.in_size(2)
    if record.attrs.get("is_training", True):
        mults, flops = 3 * size + 8 * channels, 8 * size + 7 * channels
    else:
        mults, flops = 2 * size + 2 * channels, 5 * size + channels
    return Work(mults=mults, flops=flops, transcendentals=channels)


@register_count("SoftmaxCrossEntropyWithLogits")
def cross_entropy(record: OpRecord) -> Work:
    """n logits in r rows: the loss ``sum(p * (log(sum(exp(d))) - d))`` with ``d = x - max``, and
    its gradient ``exp(d) / sum(exp(d)) - p``.

    n - r comparisons, n subtractions, n - r additions; n subtractions, n products, n - r
    additions; n divisions, n subtractions. n exponentials and r logarithms apart.
    """
    size, rows = record.in_size(), record.out_size()
    return Work(mults=2 * size, flops=8 * size - 3 * rows, transcendentals=size + rows)


@register_count("SparseSoftmaxCrossEntropyWithLogits")
def sparse_cross_entropy(record: OpRecord) -> Work:
    """As `cross_entropy`, where one element per row has all the probability.

    n - r comparisons, n subtractions, n - r additions; a subtraction per row for the loss; n
    divisions, and one subtraction per row for the gradient.
    """
    size, rows = record.in_size(), record.out_size()
    return Work(mults=size, flops=4 * size, transcendentals=size + rows)


@register_count("MirrorPadGrad")
def mirror_pad_gradient(record: OpRecord) -> Work:
    """n padded elements to m: what the border mirrored is added to its source, n - m additions."""
    return Work(flops=max(0, record.in_size() - record.out_size()))


@register_count("ResizeNearestNeighborGrad")
def nearest_gradient(record: OpRecord) -> Work:
    """Each of n gradient elements is added to the element that it is a copy of: n additions."""
    return Work(flops=record.in_size())


@register_count("ResizeBilinearGrad")
def bilinear_gradient(record: OpRecord) -> Work:
    """n gradient elements: three interpolations ``a + (b - a) * t`` backward, ``b: g * t`` and
    ``a: g - g * t``, then four additions to the sources: 3 mults of 10 operations each."""
    return Work.elementwise(record.in_size(), mults=3, ops=10)


@register_count("ResizeBicubicGrad")
def bicubic_gradient(record: OpRecord) -> Work:
    """n gradient elements: a column of four weights, four rows of four, then 16 additions to the
    sources: 20 mults of 36 operations each."""
    return Work.elementwise(record.in_size(), mults=20, ops=36)
