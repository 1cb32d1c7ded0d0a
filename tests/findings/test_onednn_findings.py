"""The rules on oneDNN's log: by hand, and on runs that are logged with oneDNN on."""

import os
import platform
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
from runs_by_hand import kernel, layer, primitive, run

from tftrace.api.load import load
from tftrace.findings import find

KIND = "weights reordered on every batch"
REFERENCE = "reference implementation"
CONV = "_MklNativeConv2D"


def findings(kind: str, *primitives: dict, ms: float = 10.0, calls: int = 4):
    layers = [layer("m/conv", "Conv2D", ms), layer("m/other", "Dense", 90)]
    ops = [kernel("conv", CONV, "m/conv", ms, calls), kernel("d", "MatMul", "m/other", 90)]
    return [f for f in find(run(layers, ops, primitives=primitives)) if f["kind"] == kind]


def test_weights_of_a_variable_that_are_reordered() -> None:
    """3 ms for 4 executions of the kernel that was logged; 8 in the traced pass: 6 ms of 100."""
    mine = primitive("conv", "reorder of weights", 3.0)
    (found,) = findings(KIND, mine, primitive("conv", "compute", 4.0), calls=8)
    assert found["layer"] == "m/conv"
    assert found["saving_ms"] == found["evidence"]["ms"] == pytest.approx(6)
    assert found["evidence"]["time_share"] == pytest.approx(0.06)
    assert found["sure"] == "measured"
    assert found["command"] == "tftrace compare model.keras data.npy --set freeze=on"


def test_no_more_is_promised_than_the_kernel_took() -> None:
    """The logged run was disturbed: 50 ms of reorders in a kernel that takes 10 in this run."""
    (found,) = findings(KIND, primitive("conv", "reorder of weights", 50.0))
    assert found["saving_ms"] == pytest.approx(10)


@pytest.mark.parametrize(
    "logged",
    [
        [],
        [primitive("conv", "compute", 4.0)],
        # Of a constant, and of what the graph does not tell.
        [primitive("conv", "reorder of weights", 3.0, variable=False)],
        [primitive("conv", "reorder of weights", 3.0, variable=None)],
        # Freezing does nothing for an input.
        [primitive("conv", "reorder of input", 3.0)],
        # A kernel that the run does not have.
        [primitive("gone", "reorder of weights", 3.0)],
        # Half a percent of the layers' time.
        [primitive("conv", "reorder of weights", 0.5)],
    ],
)
def test_other_reorders_say_nothing(logged: list[dict]) -> None:
    assert findings(KIND, *logged) == []


@pytest.mark.parametrize("name", ["ref:any", "ref_int8:any", "x64:ref", "simple:ref:any"])
def test_a_reference_implementation(name: str) -> None:
    (found,) = findings(REFERENCE, primitive("conv", "compute", 8.0, implementation=name))
    assert found["saving_ms"] is None
    assert found["evidence"]["ms"] == pytest.approx(8)
    assert f"convolution as {name}" in found["text"]


@pytest.mark.parametrize(
    "name", ["brg_conv_fwd:avx512_core", "jit:avx2", "x64:gemm:jit", "preferred"]
)
def test_an_optimised_implementation_is_none(name: str) -> None:
    assert findings(REFERENCE, primitive("conv", "compute", 8.0, implementation=name)) == []


# --- real runs --------------------------------------------------------------------------------


def logged_run(folder: Path, model: keras.Model, data: np.ndarray):
    """The run of ``tftrace run --kernels`` with oneDNN on, one sample a batch."""
    model.save(folder / "m.keras")
    np.save(folder / "x.npy", data)
    command = [sys.executable, "-m", "tftrace", "run", "m.keras", "x.npy", "--kernels", "--quiet"]
    subprocess.run(
        [*command, "--batch-size", "1", "--repeats", "0", "--no-calibrate", "--out", "."],
        cwd=folder,
        env=os.environ | {"TF_ENABLE_ONEDNN_OPTS": "1"},
        check=True,
    )
    return load(folder)


def network(side: int, channels: int, layer: keras.layers.Layer) -> keras.Model:
    image = keras.Input((side, side, channels))
    return keras.Model(image, keras.layers.GlobalAveragePooling2D()(layer(image)), name="net")


needs_onednn = pytest.mark.skipif(
    platform.machine() not in ("x86_64", "AMD64"), reason="oneDNN's switch is for x86"
)


@needs_onednn
def test_many_weights_on_few_pixels(tmp_path, random) -> None:
    """12,800 weights are copied to be used on 2 x 2 pixels: twice the convolution's time here."""
    depthwise = keras.layers.DepthwiseConv2D(5, padding="same", name="conv")
    data = random.random((6, 2, 2, 512), dtype=np.float32)
    profile = logged_run(tmp_path, network(2, 512, depthwise), data)
    if not (profile.primitives["role"] == "reorder of weights").any():
        pytest.skip("on this processor oneDNN takes the weights of this layer as they are")
    (found,) = [f for f in profile.findings if f["kind"] == KIND]
    assert found["layer"] == "net/conv"
    assert found["evidence"]["problems"] == ["512x1x1x5x5"]


@needs_onednn
def test_few_weights_on_many_pixels(tmp_path, random) -> None:
    """81 weights on 20,736 pixels."""
    plain = keras.layers.Conv2D(3, 3, padding="same", name="conv")
    data = random.random((4, 144, 144, 3), dtype=np.float32)
    profile = logged_run(tmp_path, network(144, 3, plain), data)
    assert [f for f in profile.findings if f["kind"] in (KIND, REFERENCE)] == []
    assert (profile.primitives["role"] == "compute").any()
