"""oneDNN's log: fields by its own template, sizes of problems by hand."""

from dataclasses import replace

import pytest

from tftrace.parsers.onednn import Primitive, Tensor, read_onednn_log

HEAD = """\
onednn_verbose,v1,info,oneDNN v3.7.3 (commit N/A)
onednn_verbose,v1,info,cpu,isa:Intel AVX-512 with Intel DL Boost
onednn_verbose,v1,primitive,info,template:timestamp,operation,engine,primitive,implementation,\
prop_kind,memory_descriptors,attributes,auxiliary,problem_desc,exec_time
onednn_verbose,v1,graph,info,template:timestamp,operation,engine,partition_id,exec_time
"""
CONV = (
    "onednn_verbose,v1,1795650643222.469971,primitive,exec,cpu,convolution,"
    "brg_conv_fwd:avx512_core,forward_training,src:f32::blocked:acdb::f0 "
    "wei:f32:ap:blocked:Acdb16a::f0 bia:undef::undef::: dst:f32::blocked:acdb::f0,"
    "attr-scratchpad:user attr-post-ops:eltwise_relu,alg:convolution_direct,"
    "mb4_ic3oc8_ih32oh32kh3sh1dh0ph1_iw32ow32kw3sw1dw0pw1,0.250977\n"
)
GEMM = (
    "onednn_verbose,v1,1795650643223.5,primitive,exec,cpu,gemm_api,,undef,"
    "src_f32::blocked:ab:f0 wei_f32::blocked:ab:f0 dst_f32::blocked:ab:f0,,,64x32:32x24,0.0158691\n"
)


def read(text: str):
    return read_onednn_log(text.splitlines(keepends=True))


def test_a_line_becomes_its_fields() -> None:
    log = read(HEAD + "what the model printed " + CONV)
    assert (log.version, log.isa) == ("3.7.3", "Intel AVX-512 with Intel DL Boost")
    (executed,) = log.executed
    # 1,795,650,643,222.469971 ms, as near as a double holds it (a quarter of a microsecond).
    assert executed.start_ns == pytest.approx(1795650643222469971, abs=250)
    assert executed.duration_ns == 250977
    assert executed.primitive == Primitive(
        kind="convolution",
        implementation="brg_conv_fwd:avx512_core",
        prop_kind="forward_training",
        tensors=(
            Tensor("src", "f32", "acdb"),
            Tensor("wei", "f32", "Acdb16a"),
            Tensor("dst", "f32", "acdb"),
        ),
        attributes="attr-scratchpad:user attr-post-ops:eltwise_relu",
        problem="mb4_ic3oc8_ih32oh32kh3sh1dh0ph1_iw32ow32kw3sw1dw0pw1",
    )
    assert executed.primitive.layout == "src acdb, wei Acdb16a, dst acdb"


def test_fields_in_another_order_are_read_by_the_template() -> None:
    head = HEAD.replace("primitive,implementation", "implementation,primitive")
    line = CONV.replace(
        "convolution,brg_conv_fwd:avx512_core", "brg_conv_fwd:avx512_core,convolution"
    )
    assert read(head + line).executed == read(HEAD + CONV).executed


def test_the_blas_interface_has_no_implementation_and_other_descriptors() -> None:
    (executed,) = read(HEAD + GEMM).executed
    assert executed.primitive.implementation == ""
    assert executed.primitive.layout == "src ab, wei ab, dst ab"
    assert executed.primitive.tensor("wei") == Tensor("wei", "f32", "ab")


def test_without_timestamps_the_start_is_unknown() -> None:
    plain = CONV.replace("1795650643222.469971,", "")
    (executed,) = read(HEAD.replace("timestamp,", "") + plain).executed
    assert executed.start_ns is None
    assert executed.primitive == read(HEAD + CONV).executed[0].primitive


def test_what_cannot_be_read_is_counted() -> None:
    cut = CONV[:-60] + "\n"
    log = read(HEAD + cut + CONV.replace("0.250977", "soon") + GEMM)
    assert (len(log.executed), log.unread) == (1, 2)


def test_another_programs_output_is_no_log() -> None:
    log = read("1/1 ━━━━ 0s\nonednn is fine,exec,\n")
    assert (log.version, log.executed, log.unread) == (None, [], 0)


@pytest.mark.parametrize(
    ("kind", "problem", "macs", "weights"),
    [
        # 4 images, 32 x 32 positions, 8 outputs of 3 channels in a 3 x 3 window.
        ("convolution", "mb4_ic3oc8_ih32oh32kh3sh1dh0ph1_iw32ow32kw3sw1dw0pw1", 884736, 216),
        # Depthwise: 8 groups of one channel; 30 x 30 positions of 9 taps.
        ("convolution", "g8mb4_ic8oc8_ih32oh30kh3sh1dh0ph0_iw32ow30kw3sw1dw0pw0", 259200, 72),
        # 2 volumes, 6 x 10 x 12 positions, 4 outputs of 3 channels in 27 taps.
        (
            "convolution",
            "mb2_ic3oc4_id8od6kd3sd1dd0pd0_ih12oh10kh3sh1dh0ph0_iw14ow12kw3sw1dw0pw0",
            466560,
            324,
        ),
        ("inner_product", "mb4ic3600oc20", 288000, 72000),
        ("inner_product", "mb2ic3_ih4iw5_oc6", 720, 360),
        ("matmul", "4x2x16x8:4x2x8x16", 16384, 1024),
        # The second's batch of 1 serves all four of the first.
        ("matmul", "4x16x24:1x24x16", 24576, 384),
        ("gemm_api", "64x32:32x24", 49152, 768),
        ("pooling", "mb4ic16_ih30oh15kh2sh2dh0ph0_iw30ow15kw2sw2dw0pw0", None, None),
        ("eltwise", "4x20", None, None),
    ],
)
def test_work_of_a_problem(kind: str, problem: str, macs: int | None, weights: int | None) -> None:
    primitive = Primitive(kind, "jit", "forward_training", (), "", problem)
    assert (primitive.macs, primitive.weight_count) == (macs, weights)
    assert primitive.is_contraction == (macs is not None)
    assert replace(primitive, problem="8x3x3x3").element_count == 216
