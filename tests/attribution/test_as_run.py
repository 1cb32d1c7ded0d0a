"""What oneDNN merges after TensorFlow has shown its graph is on the kernel that does it."""

import keras
import networks
import pytest

import tftrace
from tftrace.attribution.as_run import kernels_as_run, runs_as
from tftrace.attribution.provenance import KernelNodes
from tftrace.graph.kernel_types import kernel_type

layers = keras.layers


def nodes(text):
    """Lines of ``name type inputs...``."""
    rows = [line.split() for line in text.strip().splitlines()]
    return KernelNodes([r[0] for r in rows], [r[1] for r in rows], [r[2:] for r in rows])


PADDED = nodes("""
    x Placeholder
    sizes Const
    pad Pad x sizes
    conv Conv2D pad w
    relu Relu conv
""")


def test_a_padding_that_ran_inside_the_convolution_is_not_a_kernel():
    ran = {"conv": "_MklNativePadWithConv2D", "relu": "_MklRelu"}
    found = kernels_as_run(PADDED, ran)
    assert found == nodes("""
        x Placeholder
        sizes Const
        conv Conv2D x sizes w
        relu Relu conv
    """)


@pytest.mark.parametrize(
    "ran",
    [
        {},
        {"conv": "_MklNativeConv2D"},
        {"conv": "_MklNativeFusedConv2D"},
        # It ran itself, so the other one padded something else.
        {"conv": "_MklNativePadWithConv2D", "pad": "Pad"},
    ],
)
def test_otherwise_the_graph_is_the_one_that_was_shown(ran):
    assert kernels_as_run(PADDED, ran) is PADDED


def test_a_bias_that_took_in_its_convolution_is_the_kernel():
    shown = nodes("""
        conv Conv2D x w
        bias BiasAdd conv b
    """)
    found = kernels_as_run(shown, {"bias": "_MklNativeConv2DWithBias"})
    assert found == nodes("bias BiasAdd x w b")


@pytest.mark.parametrize(
    ("shown", "ran", "possible"),
    [
        ("_FusedMatMul", "_MklNativeFusedMatMul", True),
        ("AddV2", "_MklNativeFusedMatMul", False),
        ("BiasAdd", "_MklNativeConv2DWithBias", True),
        (None, "Enter", True),
    ],
)
def test_a_node_runs_as_what_it_computes(shown, ran, possible):
    assert runs_as(shown, ran) is possible


@pytest.mark.kernels
def test_a_padding_in_a_run_is_shown_where_it_ran():
    model = keras.Sequential(
        [
            keras.Input((16, 16, 4)),
            layers.ZeroPadding2D(1, name="pad"),
            layers.Conv2D(8, 3, activation="relu", name="conv"),
            layers.GlobalAveragePooling2D(name="mean"),
        ],
        name="m",
    )
    data = networks.normal(40, 16, 16, 4)
    profile = tftrace.profile(model, data, repeats=0, calibrate=False, all_ops=True)
    assert profile.recording["recorded"] == profile.recording["expected"]
    kinds = profile.ops["op_type"].map(kernel_type)
    (conv,) = profile.ops[[kind.plain[0] == "Conv2D" for kind in kinds]].to_dict("records")
    inside = [member for member in conv["members"] if member.endswith("/Pad")]
    apart = profile.ops[profile.ops["op_type"] == "Pad"]
    assert len(inside) + len(apart) == 1
    assert conv["layer"] == "m/conv"
    sites = profile.layers[profile.layers["ops"] > 0].set_index("path")
    (pad,) = (path for path in sites.index if path.startswith("m/pad"))
    assert sites.loc["m/conv", "fused_with"] == ([pad] if inside else [])
    assert sites.loc[pad, "busy_ms"] > 0
