"""Findings of real runs: what TensorFlow really executes triggers the rules that it should."""

from collections.abc import Callable
from pathlib import Path

import networks
import numpy as np
import pytest

import tftrace
from tftrace.errors import TftraceError
from tftrace.findings.basis.folds import fold_of, folds_of
from tftrace.findings.registry import candidates
from tftrace.graph.kernel_types import is_onednn
from tftrace.tracer.tf_private import onednn_is_on

pytestmark = pytest.mark.kernels

keras = pytest.importorskip("keras")
layers = keras.layers


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Callable:
    def measure(model, *shape: int) -> tftrace.Profile:
        out: Path = tmp_path_factory.mktemp("run") / "logs"
        options = {"repeats": 0, "calibrate": False, "batch_size": 16, "all_ops": True}
        return tftrace.profile(model, networks.normal(*shape), out=out, **options)

    return measure


@pytest.fixture(scope="module")
def norms():
    """Batch norms behind and before everything that decides where they can go."""
    x = inputs = keras.Input((24, 24, 8))
    x = layers.Conv2D(8, 3, use_bias=False, name="conv")(x)
    x = layers.BatchNormalization(name="behind_conv")(x)
    x = layers.ReLU(name="relu")(x)
    x = layers.DepthwiseConv2D(3, use_bias=False, name="depthwise")(x)
    x = layers.BatchNormalization(name="behind_depthwise")(x)
    x = layers.ReLU(name="another_relu")(x)
    x = layers.BatchNormalization(name="between_relus")(x)
    x = layers.ReLU(name="third_relu")(x)
    x = layers.Conv2D(8, 3, activation="relu", name="valid")(x)
    x = layers.BatchNormalization(name="before_valid")(x)
    x = layers.Conv2D(8, 3, activation="relu", name="same_next")(x)
    x = layers.BatchNormalization(name="before_same")(x)
    x = layers.Conv2D(8, 3, padding="same", activation="relu", name="same")(x)
    x = layers.BatchNormalization(name="before_pointwise")(x)
    x = layers.Conv2D(8, 1, activation="relu", name="pointwise")(x)
    x = layers.BatchNormalization(name="before_dense")(x)
    x = layers.Flatten(name="flatten")(layers.GlobalAveragePooling2D(name="mean")(x))
    x = layers.Dense(4, name="dense")(x)
    model = keras.Model(inputs, x, name="norms")
    _randomise(model)
    return model


def _randomise(model) -> None:
    """Statistics as after training; an untrained norm has no offset to add."""
    rng = np.random.default_rng(0)
    for layer in model.layers:
        if isinstance(layer, layers.BatchNormalization):
            layer.set_weights([rng.uniform(0.5, 1.5, w.shape) for w in layer.get_weights()])


@pytest.fixture(scope="module")
def norms_run(norms, measured):
    return measured(norms, 32, 24, 24, 8)


@pytest.mark.parametrize(
    ("name", "direction", "into"),
    [
        ("behind_conv", "backward", "conv"),
        ("behind_depthwise", "backward", "depthwise"),
        ("between_relus", None, None),
        ("before_valid", "forward", "same_next"),
        ("before_same", None, None),
        ("before_pointwise", "forward", "pointwise"),
        ("before_dense", "forward", "dense"),
    ],
)
def test_the_graph_of_the_run_tells_where_a_norm_folds(norms_run, name, direction, into) -> None:
    found = fold_of(norms_run.layer_graph, f"norms/{name}", onednn_is_on())
    assert (found.direction, found.into) == (direction, (f"norms/{into}",) if into else ())


def test_fold_agrees_with_what_the_findings_promise(norms, norms_run) -> None:
    from tftrace.folding.fold import fold

    done = {f.layer: f.direction for f in fold(norms).folded}
    # Of the graph, not of the findings: on a busy machine a norm may seem too quick for one.
    names = [layer.name for layer in norms.layers if isinstance(layer, layers.BatchNormalization)]
    said = {name: fold_of(norms_run.layer_graph, f"norms/{name}").direction for name in names}
    assert {name: way for name, way in said.items() if way} == done
    assert said.keys() - done.keys() == {"between_relus", "before_same"}


def test_what_folding_changes_around_the_norm_is_known(norms_run) -> None:
    graph = norms_run.layer_graph
    behind_conv = fold_of(graph, "norms/behind_conv", onednn_is_on())
    assert graph.path(graph.index[behind_conv.frees]) == "norms/relu"
    assert not behind_conv.adds_bias
    alone = fold_of(graph, "norms/behind_depthwise")
    assert alone.adds_bias
    assert alone.frees is None
    with_onednn = fold_of(graph, "norms/behind_depthwise", onednn=True)
    assert not with_onednn.adds_bias
    assert graph.path(graph.index[with_onednn.frees]) == "norms/another_relu"


def _layer(profile, op: str) -> str:
    graph = profile.layer_graph
    return (graph.path(graph.index[op]) or "").rpartition("/")[2]


def test_what_the_findings_say_goes_with_a_norm_is_gone_once_it_is_folded(measured) -> None:
    """Additions and activations behind folded norms: those named are no kernel of their own any
    more, those not named still are. Under the setting that the tests run with."""
    from tftrace.folding.fold import fold

    def conv(x, name, size=1, **options):
        x = layers.Conv2D(8, size, padding="same", name=name, **options)(x)
        return layers.BatchNormalization(name=f"{name}_bn")(x)

    inputs = keras.Input((24, 24, 8))
    x = layers.ReLU(name="relu1")(conv(inputs, "c1", 3, use_bias=False))
    x = layers.ReLU(name="relu2")(layers.Add(name="add2")([conv(x, "c2", 3), x]))
    x = layers.ReLU(name="relu3")(layers.Add(name="add3")([conv(x, "c3"), conv(x, "c4")]))
    x = layers.DepthwiseConv2D(3, use_bias=False, name="dw")(x)
    x = layers.ReLU(6.0, name="relu5")(layers.BatchNormalization(name="dw_bn")(x))
    model = keras.Model(inputs, layers.GlobalAveragePooling2D(name="mean")(x), name="net")
    _randomise(model)
    before = measured(model, 32, 24, 24, 8)
    after = measured(fold(model).model, 32, 24, 24, 8)
    norms = [p for p in before.layers["path"] if p.endswith("_bn")]
    folds = folds_of(before.layer_graph, norms, before.machine["onednn"]).values()
    named = {name for f in folds for name in (f.joins, f.frees)} - {None}
    gone = {_layer(before, name) for name in named}
    ran = after.ops[after.ops["calls"] > 0]
    single = (members[0] for members in ran["members"] if len(members) == 1)
    alone = {_layer(after, name) for name in single}
    everything = {"relu1", "add2", "relu2", "add3", "relu3", "relu5"}
    assert gone == (everything if before.machine["onednn"] else {"relu1"})
    assert everything & alone == everything - gone


def test_the_question_names_the_norm_with_its_kernels_and_bytes(run_of) -> None:
    (finding,) = [f for f in run_of("mission").findings if f["kind"] == "unfused batch norm"]
    assert finding["layer"] == "with_bn/batch_normalization"
    assert "mul_1 (Mul)" in finding["text"]
    assert "add_1 (AddV2)" in finding["text"]
    # 2 x 32 x 32 x 32 x 4 B twice, of which fusing would save one pass
    assert "524.3 kB" in finding["text"]
    assert "262.2 kB" in finding["text"]
    assert finding["evidence"]["into"] == ["with_bn/dense"]


def test_under_xla_the_norm_is_fused(run_of) -> None:
    kinds = {f["kind"] for f in run_of("mission", jit="on").findings}
    assert "unfused batch norm" not in kinds


SLOW_ACTIVATIONS = ("swish", "softplus", "mish")


@pytest.fixture(scope="module")
def slow_parts(measured):
    """Side by side: what runs in passes of its own, and its quick counterpart."""
    x = keras.Input((48, 48, 16))
    parts = [
        layers.ZeroPadding2D(1, name="padded")(x),
        layers.Permute((3, 1, 2), name="permuted")(x),
        layers.Conv2D(16, 3, dilation_rate=2, name="dilated")(x),
        layers.DepthwiseConv2D(3, dilation_rate=2, name="thin_dilated")(x),
        layers.Conv2D(16, 1, activation="swish", name="swish")(x),
        layers.Conv2D(16, 1, activation="softplus", name="softplus")(x),
        layers.Conv2D(16, 1, activation="mish", name="mish")(x),
        layers.Conv2D(16, 1, activation="relu", name="relu")(x),
        layers.Conv2D(16, 1, activation="relu", dtype="float64", name="double")(x),
    ]
    return measured(keras.Model(x, parts, name="slow"), 64, 48, 48, 16)


@pytest.mark.parametrize(
    ("kind", "names"),
    [
        ("padding pass", {"padded"}),
        ("transpose pass", {"permuted"}),
        ("dilation by copies", {"dilated", "thin_dilated"}),
        # oneDNN's convolution takes mish in, its swish is one kernel instead of two.
        ("activation pass", {"swish", "softplus"} if onednn_is_on() else {*SLOW_ACTIVATIONS}),
        ("double precision", {"double"}),
        ("cast pass", {"double"}),
        ("unfused batch norm", set()),
        ("bias blocks the fusion", set()),
    ],
)
def test_each_layer_is_named_for_what_it_is_and_no_other(slow_parts, kind, names) -> None:
    # However small: on a busy machine anything may take the time.
    found = {f.layer.split("/")[1] for f in candidates(slow_parts) if f.kind == kind}
    assert found == names


def test_the_run_is_of_the_setting_that_it_says(slow_parts) -> None:
    """So that both settings of continuous integration are really two."""
    assert any(map(is_onednn, slow_parts.ops["op_type"])) is onednn_is_on()


def test_keras_2_norms_fuse_unless_a_bias_stands_before_them(measured) -> None:
    old = pytest.importorskip("tf_keras")
    model = old.Sequential(
        [
            old.layers.Input((24, 24, 8)),
            old.layers.Conv2D(8, 3, name="biased"),
            old.layers.BatchNormalization(name="held_up"),
            old.layers.ReLU(name="relu"),
            old.layers.Conv2D(8, 3, use_bias=False, name="free"),
            old.layers.BatchNormalization(name="fused"),
            old.layers.ReLU(name="another_relu"),
            old.layers.Flatten(),
            old.layers.Dense(4),
        ],
        name="old",
    )
    found = candidates(measured(model, 64, 24, 24, 8))
    (blocked,) = [f for f in found if f.kind == "bias blocks the fusion"]
    assert blocked.layer == "old/held_up"
    assert blocked.evidence["convolution"] == "old/biased"
    assert blocked.evidence["activation"].rpartition("/")[2] == "Relu"
    assert not [f for f in found if f.layer in ("old/fused", "old/another_relu")]


def test_a_model_without_any_of_it_has_no_findings_on_its_layers(measured) -> None:
    model = keras.Sequential(
        [
            keras.Input((32, 32, 8)),
            layers.Conv2D(32, 3, activation="relu"),
            layers.Conv2D(32, 3, activation="relu"),
        ],
        name="plain",
    )
    profile = measured(model, 64, 32, 32, 8)
    # Whether a busy machine lends a second thread is not the model's doing.
    assert {f.kind for f in candidates(profile) if f.layer is not None} <= {"one thread"}


def test_xla_is_tried_on_two_copies_of_the_model() -> None:
    from tftrace.comparison.try_jit import HELPS, HURTS, SAME, try_jit

    made = []

    def load():
        made.append(networks.BUILDERS["small"]()[0])
        return made[-1]

    comparison, finding = try_jit(load, networks.normal(70, 8), pairs=6)
    assert made[0] is not made[1]
    assert [p.run["jit"] for p in comparison.profiles] == [False, True]
    assert finding["kind"] in (HELPS, HURTS, SAME)
    assert finding["evidence"]["off_ms"] == comparison.medians[0]
    assert comparison.verdict in finding["text"]
    with pytest.raises(TftraceError, match="at least 6"):
        try_jit(load, networks.normal(70, 8), pairs=5)
