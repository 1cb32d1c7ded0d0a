"""Which operations a kernel does the work of: graphs written out before and after optimization.

Each pair was read off TensorFlow 2.21; the answer is what a person says who sees both.
"""

import pytest

from tftrace.attribution.provenance import (
    KernelNodes,
    TracedOps,
    constant_kernels,
    members_of_kernels,
)


def traced(text, dead=()):
    """``name Type input input`` a line, inputs by name; ``Type:2`` is of another form."""
    rows = [line.split() for line in text.strip().splitlines()]
    names = [row[0] for row in rows]
    kinds = [row[1].partition(":") for row in rows]
    return TracedOps(
        names,
        [kind for kind, _, _ in kinds],
        [[names.index(i) for i in row[2:]] for row in rows],
        [name not in dead for name in names],
        [int(form or 1) for _, _, form in kinds],
    )


def optimized(text):
    rows = [line.split() for line in text.strip().splitlines()]
    return KernelNodes([r[0] for r in rows], [r[1] for r in rows], [r[2:] for r in rows])


def members(before, after, dead=()):
    """Sets of members by kernel name, kernels without any left out."""
    ops = traced(before, dead)
    found = members_of_kernels(ops, optimized(after))
    return {name: {ops.key[i] for i in m.ops} for name, m in found.items() if m.ops}


CONV_BIAS_RELU = """
x Placeholder
w ReadVariableOp
b ReadVariableOp
conv Conv2D x w
bias BiasAdd conv b
relu Relu bias
pool MaxPool relu
"""


def test_a_fused_convolution_stands_for_all_that_it_took_in():
    after = """
    w ReadVariableOp
    b ReadVariableOp
    relu _FusedConv2D x w b
    pool MaxPool relu
    """
    assert members(CONV_BIAS_RELU, after)["relu"] == {"conv", "bias", "relu"}
    assert members(CONV_BIAS_RELU, after)["pool"] == {"pool"}


NORM_RELU = """
x Placeholder
s ReadVariableOp
bn FusedBatchNormV3 x s
relu Relu bn
pool MaxPool relu
"""


@pytest.mark.parametrize("relu", ["", "relu Identity bn"])
def test_a_norm_that_took_in_the_activation_behind_it_keeps_its_name(relu):
    after = """
    s ReadVariableOp
    bn _FusedBatchNormEx x s
    """
    after += relu and relu + "\n"
    after += "pool MaxPool relu" if relu else "pool MaxPool bn"
    found = members(NORM_RELU, after)
    assert found["bn"] == {"bn", "relu"}
    assert found["pool"] == {"pool"}


def test_a_plain_norm_takes_in_nothing():
    found = members(NORM_RELU, NORM_RELU)
    assert (found["bn"], found["relu"]) == ({"bn"}, {"relu"})


def test_a_norm_on_a_gpu_takes_in_the_sum_before_the_activation():
    before = NORM_RELU.replace("relu Relu bn", "add AddV2 bn x\nrelu Relu add")
    after = """
    s ReadVariableOp
    bn _FusedBatchNormEx x s x
    pool MaxPool bn
    """
    assert members(before, after)["bn"] == {"bn", "add", "relu"}


def test_without_fusion_everybody_stands_for_itself():
    found = members(CONV_BIAS_RELU, CONV_BIAS_RELU)
    assert found["conv"] == {"conv"}
    assert found["relu"] == {"relu"}


def test_a_stop_at_what_is_still_there():
    after = """
    w ReadVariableOp
    b ReadVariableOp
    conv Conv2D x w
    relu _FusedBiasRelu conv b
    """
    assert members(CONV_BIAS_RELU, after)["relu"] == {"bias", "relu"}


# x*m + s + r, the end of a batch norm followed by a residual Add layer (MobileNetV2).
RESIDUAL = """
x Placeholder
r Placeholder
m Rsqrt r
s Sub r m
mul Mul x m
add AddV2 mul s
join AddV2 add r
next Relu join
"""


def test_an_add_rewritten_to_addn_stands_for_both_additions():
    after = """
    m Rsqrt r
    s Sub r m
    mul Mul x m
    join/AddOpsRewrite_Leaf_1_add AddN r mul
    join/AddOpsRewrite_add AddV2 join/AddOpsRewrite_Leaf_1_add s
    next Relu join/AddOpsRewrite_add
    """
    found = members(RESIDUAL, after)
    assert found["join/AddOpsRewrite_add"] == {"add", "join"}
    # The helper works for the same two, and counts nothing twice.
    assert found["join/AddOpsRewrite_Leaf_1_add"] == {"add", "join"}
    assert found["mul"] == {"mul"}
    assert found["next"] == {"next"}


def test_work_counts_at_one_of_the_two():
    after = """
    m Rsqrt r
    s Sub r m
    mul Mul x m
    leaf AddN r mul
    root AddV2 leaf s
    next Relu root
    """
    found = members_of_kernels(traced(RESIDUAL), optimized(after))
    assert (found["root"].counts, found["leaf"].counts) == (True, False)


# Two residual blocks in a row: the second join adds onto the first.
CHAIN = """
x Placeholder
m1 Rsqrt x
s1 Sub x m1
y1 Mul x m1
bn1 AddV2 y1 s1
join1 AddV2 bn1 x
m2 Rsqrt x
s2 Sub x m2
y2 Mul join1 m2
bn2 AddV2 y2 s2
join2 AddV2 bn2 join1
end Relu join2
"""


def test_chained_residuals_do_not_mix():
    after = """
    m1 Rsqrt x
    s1 Sub x m1
    y1 Mul x m1
    m2 Rsqrt x
    s2 Sub x m2
    leaf1 AddN x y1
    root1 AddV2 leaf1 s1
    y2 Mul root1 m2
    leaf2 AddN root1 y2
    root2 AddV2 leaf2 s2
    end Relu root2
    """
    found = members(CHAIN, after)
    assert found["root1"] == {"bn1", "join1"}
    assert found["leaf1"] == {"bn1", "join1"}
    assert found["root2"] == {"bn2", "join2"}
    assert found["leaf2"] == {"bn2", "join2"}
    assert found["y2"] == {"y2"}


def test_a_product_that_took_in_a_transpose_is_the_product_also_on_one_leaf():
    """``erf(x @ transpose(x))``: all rests on x alone."""
    before = """
    x Placeholder
    perm Const
    turned Transpose x perm
    product BatchMatMulV2 x turned
    erf Erf product
    """
    after = """
    Optimizer/FoldTransposeIntoMatMul_product BatchMatMulV2 x x
    erf Erf Optimizer/FoldTransposeIntoMatMul_product
    """
    found = members(before, after)
    assert found["Optimizer/FoldTransposeIntoMatMul_product"] == {"product", "turned"}
    assert found["erf"] == {"erf"}


def test_a_dropped_identity_on_the_way_hides_nothing():
    before = """
    a Placeholder
    b Placeholder
    same Identity a
    turned Transpose b
    product MatMul same turned
    """
    found = members(before, "renamed MatMul a b")
    assert found["renamed"] == {"product", "turned"}


def test_a_chain_flattened_into_one_sum_stands_for_every_addition():
    before = """
    a Placeholder
    b Relu a
    c Tanh a
    d Exp a
    one AddV2 b c
    two AddV2 one d
    end Relu two
    """
    after = """
    b Relu a
    c Tanh a
    d Exp a
    sum AddN b c d
    end Relu sum
    """
    assert members(before, after)["sum"] == {"one", "two"}


def test_a_transpose_for_the_layout_works_for_its_consumer():
    before = """
    x Placeholder
    w ReadVariableOp
    conv Conv2D x w
    relu Relu conv
    """
    after = """
    w ReadVariableOp
    perm Const
    conv-0-TransposeNHWCToNCHW-LayoutOptimizer Transpose x perm
    conv Conv2D conv-0-TransposeNHWCToNCHW-LayoutOptimizer w
    back-TransposeNCHWToNHWC-LayoutOptimizer Transpose conv perm
    relu Relu back-TransposeNCHWToNHWC-LayoutOptimizer
    """
    found = members_of_kernels(traced(before), optimized(after))
    there = found["conv-0-TransposeNHWCToNCHW-LayoutOptimizer"]
    back = found["back-TransposeNCHWToNHWC-LayoutOptimizer"]
    keys = traced(before).key
    assert [keys[i] for i in there.ops] == ["conv"]
    assert [keys[i] for i in back.ops] == ["relu"]
    assert not there.counts
    assert not back.counts


def test_of_common_subexpressions_the_kept_one_runs_for_all():
    before = """
    x Placeholder
    one Exp x
    two Exp x
    a1 Relu one
    a2 Relu two
    other Tanh two
    sum AddV2 a1 a2
    """
    after = """
    one Exp x
    a1 Relu one
    other Tanh one
    sum AddV2 a1 a1
    """
    found = members(before, after)
    assert found == {"one": {"one"}, "a1": {"a1"}, "other": {"other"}, "sum": {"sum"}}


# Two convolutions of one input and one kernel, the second dilated, each with a ReLU.
DILATED = """
x Placeholder
k Const
conv Conv2D x k
dilated Conv2D:2 x k
relu1 Relu conv
relu2 Relu dilated
sum AddV2 relu1 relu2
"""
DILATED_FUSED = """
k Const
conv Conv2D x k
relu1 Relu conv
relu2 _FusedConv2D x k
sum AddV2 relu1 relu2
"""


def test_operations_whose_attributes_differ_are_no_twins():
    assert members(DILATED, DILATED_FUSED)["relu2"] == {"dilated", "relu2"}


def test_without_forms_nothing_passes_for_a_twin():
    """A run of an older tftrace does not tell attributes."""
    ops = traced(DILATED.replace("Conv2D:2", "Conv2D"))
    old = TracedOps(ops.key, ops.type, ops.inputs, ops.live)
    found = members_of_kernels(old, optimized(DILATED_FUSED))["relu2"]
    assert {ops.key[i] for i in found.ops} == {"dilated", "relu2"}


def test_twins_may_rest_on_equal_constants():
    """Two pooling layers on one tensor: each has axes of its own, and one mean runs for both."""
    before = """
    x Placeholder
    axes1 Const
    mean1 Mean x axes1
    axes2 Const
    mean2 Mean x axes2
    axes3 Const:2
    mean3 Mean x axes3
    one Relu mean1
    two Tanh mean2
    three Exp mean3
    """
    after = """
    axes2 Const
    mean2 Mean x axes2
    axes3 Const
    one _FusedRelu mean2
    two Tanh mean2
    three _FusedExp x axes3
    """
    found = members(before, after)
    assert found["one"] == {"one"}
    assert found["mean2"] == {"mean2"}
    assert found["three"] == {"three", "mean3"}


def test_twins_may_add_in_another_order():
    before = """
    x Placeholder
    y Placeholder
    sum1 AddV2 x y
    sum2 AddV2 y x
    difference1 Sub x y
    difference2 Sub y x
    one Relu sum1
    two Relu sum2
    three Relu difference1
    four Relu difference2
    """
    after = """
    sum1 AddV2 x y
    difference1 Sub x y
    one Relu sum1
    two _FusedRelu sum1
    three Relu difference1
    four _FusedRelu y x
    """
    found = members(before, after)
    assert found["two"] == {"two"}
    assert found["four"] == {"four", "difference2"}


def test_folded_constants_are_nobodys_members():
    before = """
    x Placeholder
    c Const
    d Const
    e Mul c d
    y Mul x e
    """
    after = """
    e Const
    y Mul x e
    """
    assert members(before, after) == {"y": {"y"}}


def test_what_nothing_needs_is_nobodys_member():
    before = """
    x Placeholder
    dead Exp x
    conv Conv2D x x
    relu Relu conv
    """
    assert members(before, "relu _FusedConv2D x x", dead={"dead"}) == {"relu": {"conv", "relu"}}


def test_an_inlined_body_is_found_under_its_number():
    before = """
    x Placeholder
    w/body/mm MatMul x x
    w/body/add BiasAdd w/body/mm x
    """
    after = "w/body/_7/add _FusedMatMul x x"
    assert members(before, after) == {"w/body/add": {"w/body/mm", "w/body/add"}}


def test_a_call_that_runs_whole_stands_for_its_body():
    before = """
    x Placeholder
    call PartitionedCall x
    call/a MatMul x x
    call/b Relu call/a
    after Exp call/b
    """
    after = """
    call PartitionedCall x
    after Exp call
    """
    assert members(before, after)["call"] == {"call/a", "call/b"}
    assert members(before, after)["after"] == {"after"}


@pytest.mark.parametrize("kind", ["Enter", "Merge", "Switch", "NextIteration", "Exit", "LoopCond"])
def test_a_loops_machinery_has_no_members(kind):
    before = """
    x Placeholder
    w/body/mm MatMul x x
    """
    after = f"""
    w/node/_3 {kind} x
    w/body/_1/mm MatMul w/node/_3 w/node/_3
    """
    assert members(before, after) == {"w/body/mm": {"w/body/mm"}}


def test_constants_spread_to_what_rests_on_them_alone():
    after = """
    a Const
    b Const
    sum Add a b
    shape Pack sum
    fill Fill shape a
    mixed Mul x fill
    noise RandomUniform shape
    none VarHandleOp
    """
    assert constant_kernels(optimized(after)) == {"a", "b", "sum", "shape", "fill"}


def test_a_very_deep_graph_does_not_exhaust_the_stack():
    depth = 3000
    before = "\n".join(
        ["x Placeholder", "o0 Exp x", *(f"o{n} Exp o{n - 1}" for n in range(1, depth))]
    )
    after = "\n".join(
        [
            "p0 Exp x",
            *(f"p{n} Exp p{n - 1}" for n in range(1, depth)),
            f"o{depth} Relu p{depth - 1}",
        ]
    )
    before += f"\no{depth} Relu o{depth - 1}"
    found = members(before, after)
    assert f"o{depth}" in found
