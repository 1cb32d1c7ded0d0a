"""Findings of ``fit``: each with a network that triggers it and one that must not."""

from dataclasses import replace

import keras
import networks
import numpy as np
import pytest
import tensorflow as tf
from runs_by_hand import graph, kernel, layer, run
from runs_for_rules import both_settings  # noqa: F401

import tftrace
from tftrace.findings.registry import candidates
from tftrace.timeline.share_out import DISPATCH, PIPELINE

layers = keras.layers


def kinds(*inside, **options):
    """Kind and layer of what the rules say of one epoch."""
    return {(each.kind, each.layer) for each in told(*inside, **options)}


def told(*inside, shape=(16,), batch_size=32, frozen=(), jit="off", optimizer="adam", x=None):
    """What the rules say of one epoch."""
    model = keras.Sequential([keras.Input(shape), *inside], name="net")
    for name in frozen:
        model.get_layer(name).trainable = False
    model.compile(optimizer, "mse")
    y = networks.normal(64, *model.output_shape[1:])
    x = networks.normal(64, *shape) if x is None else x
    options = {"repeats": 0, "calibrate": False, "batch_size": batch_size, "jit": jit}
    found = tftrace.profile(model, x, y, phase="fit", **options)
    assert found.no_findings is None
    # However small: what is told depends on the machine.
    return candidates(found)


def dense(units, name):
    return layers.Dense(units, name=name)


def test_batch_norm_in_training():
    found = kinds(
        layers.Conv2D(16, 3, name="conv"),
        layers.BatchNormalization(name="bn"),
        layers.Flatten(),
        dense(4, "head"),
        shape=(16, 16, 8),
    )
    assert ("batch norm in training", "net/bn") in found


def test_no_batch_norm_no_finding():
    found = kinds(dense(256, "a"), dense(4, "head"))
    assert not {kind for kind, _ in found} & {"batch norm in training"}


@pytest.mark.parametrize(("jit", "told"), [("off", True), ("on", False)])
def test_updates_of_many_kernels(jit, told):
    # A batch of two multiplies less than the update of a million weights moves.
    found = kinds(dense(1024, "a"), dense(1024, "b"), shape=(1024,), batch_size=2, jit=jit)
    assert (("updates of many kernels", None) in found) is told


def test_gradient_through_frozen_layers():
    kind = "gradient through frozen layers"
    inside = dense(256, "first"), dense(256, "second"), dense(256, "head")
    shape = {"shape": (256,)}
    assert (kind, "net/second") in kinds(*inside, frozen=("second",), **shape)
    inside = dense(256, "first"), dense(256, "second"), dense(256, "head")
    found = kinds(*inside, frozen=("first", "second"), **shape)
    assert kind not in {each for each, _ in found}


# --- embeddings

DENSE = "dense gradient of an embedding"
WORDS = np.random.default_rng(0).integers(0, 5000, (64, 6))


def embedded(optimizer, words=5000, jit="off"):
    inside = layers.Embedding(words, 8, name="emb"), layers.Flatten(), dense(1, "head")
    found = told(*inside, shape=(6,), optimizer=optimizer, x=WORDS % words, jit=jit)
    return {each.layer: each for each in found if each.kind == DENSE}


@pytest.mark.parametrize("jit", ["off", "on"])
def test_adam_lays_out_the_gradient_of_an_embedding(jit):
    found = embedded("adam", jit=jit)
    assert list(found) == ["net/emb"]
    evidence = found["net/emb"].evidence
    # A step reads 32 times 6 rows of 8 numbers of 4 bytes; the table has 5,000.
    assert (evidence["rows_bytes"], evidence["table_bytes"]) == (32 * 6 * 32, 5000 * 32)


def test_what_keeps_to_the_rows_that_were_read_is_not_told():
    assert embedded(keras.optimizers.SGD(clipnorm=1.0)) == {}
    # A table that a step reads nearly all of loses nothing.
    assert embedded("adam", words=200) == {}


def test_clipping_by_the_norm_of_all_lays_it_out_for_no_layer():
    assert list(embedded(keras.optimizers.SGD(global_clipnorm=1.0))) == [None]


def test_a_dense_gradient_by_hand(onednn):
    structure = graph(
        ("rows", "Reshape", "m/emb"),
        ("ids", "Cast", None),
        ("sum", "UnsortedSegmentSum", "m/emb", ["rows", "ids"]),
    )
    structure = replace(structure, out_bytes=[1_000, None, 1_000_000])
    ops = [
        kernel("sum", "UnsortedSegmentSum", "m/emb", 3.0, phase="optimizer"),
        kernel("mul", "Mul", "m/emb", 4.0, phase="optimizer", members=["mul"]),
        kernel("take", "GatherV2", "m/emb", 5.0, phase="forward"),
    ]
    made = trained([layer("m/emb", "Embedding", 12.0)], ops, structure)
    (found,) = [each for each in candidates(made) if each.kind == DENSE]
    assert found.evidence == {"ms": 7.0, "rows_bytes": 1_000, "table_bytes": 1_000_000}
    small = replace(structure, out_bytes=[600_000, None, 1_000_000])
    made = trained([layer("m/emb", "Embedding", 12.0)], ops, small)
    assert DENSE not in {each.kind for each in candidates(made)}


# --- what is computed a second time


class Remat(layers.Layer):
    """Keeps nothing for the gradient of what lies inside."""

    def __init__(self, **more):
        super().__init__(**more)
        self.inner = layers.Dense(64, activation="tanh", name="inner")

    def build(self, shape):
        self.inner.build(shape)

    def call(self, x):
        return tf.recompute_grad(lambda y: tf.sin(self.inner(y)))(x)


@pytest.mark.parametrize("jit", ["off", "on"])
def test_recomputation(jit):
    found = kinds(dense(64, "first"), Remat(name="remat"), dense(4, "head"), jit=jit)
    told = {layer for kind, layer in found if kind == "recomputation"}
    assert "net/remat/inner" in told
    assert told <= {"net/remat/inner", "net/remat"}


def test_no_recomputation():
    found = kinds(dense(64, "first"), layers.Dense(64, activation="tanh"), dense(4, "head"))
    assert "recomputation" not in {kind for kind, _ in found}


def test_recomputation_by_hand(onednn):
    rows = [
        layer("m/a", "Dense", 10.0, backward_ms=7.0, recomputed_ms=3.0),
        layer("m/b", "Dense", 10.0, backward_ms=7.0, recomputed_ms=0.0),
    ]
    found = [each for each in candidates(trained(rows)) if each.kind == "recomputation"]
    assert [(each.layer, each.evidence["ms"]) for each in found] == [("m/a", 3.0)]


# --- the first epoch, the pipeline, the batch


def epoch(number, steps_ms, first_ms, median_ms=2.0, validation_ms=5.0):
    step = {"part": "train steps", "wall_ms": steps_ms, "first_ms": first_ms}
    return [
        {"epoch": number, **step, "median_ms": median_ms},
        {"epoch": number, "part": "validation", "wall_ms": validation_ms},
    ]


def test_the_first_epoch_by_hand(onednn):
    def of(*epochs, **more):
        rows = [row for each in epochs for row in each]
        found = candidates(trained([layer("m/a", "Dense", 1.0)], epochs=rows, **more))
        return [each for each in found if each.kind == "first epoch traced"]

    usual = epoch(1, 200.0, 2.5), epoch(2, 220.0, 2.5), epoch(3, 240.0, 2.5)
    (found,) = of(epoch(0, 1_220.0, 900.0, validation_ms=305.0), *usual)
    # 1,220 against a median of 220, and 305 against one of 5.
    assert found.evidence["extra_ms"] == 1_000 + 300
    assert found.evidence["ms"] == 1_300 / 4
    assert found.evidence["first_step_ms"] == 900
    assert "smaller" not in found.cause
    assert "whole batches" not in found.remedy
    (ragged,) = of(epoch(0, 1_220.0, 900.0, validation_ms=305.0), *usual, samples=70)
    assert "smaller last batch" in ragged.cause
    assert "whole batches" in ragged.remedy
    # A fit that had run before; passes of a run; one epoch, of which nothing can be said.
    assert of(epoch(0, 220.0, 2.5), *usual) == []
    assert of(epoch(0, 1_220.0, 900.0), *usual, epochs_of="untraced passes") == []
    assert of(epoch(0, 1_220.0, 900.0)) == []


def test_the_first_epoch_of_a_fit(tmp_path):
    def fitted(model):
        x, y = networks.normal(64, 16), networks.normal(64, 1)
        with tftrace.trace(tmp_path) as tracing:
            model.fit(x, y, epochs=4, verbose=0)
        return {each.kind for each in candidates(tracing.profile)}

    model = keras.Sequential([keras.Input((16,)), dense(8, "a"), dense(1, "b")], name="net")
    model.compile("adam", "mse")
    assert "first epoch traced" in fitted(model)
    assert "first epoch traced" not in fitted(model)


def steps(wall_ms, ops_ms):
    """Ten batches of 32 samples."""
    return [(10.0 + wall_ms * n, wall_ms, ops_ms) for n in range(10)]


def test_the_pipeline_of_fit_by_hand(onednn):
    kind = "input pipeline bound"

    def of(wall_ms, ops_ms):
        wall = {PIPELINE: 10 * (wall_ms - ops_ms) + 10.0}
        rows = [layer("m/a", "Dense", 10 * ops_ms)]
        made = trained(rows, (), None, wall, steps(wall_ms, ops_ms), samples=320)
        return [each for each in candidates(made) if each.kind == kind]

    (found,) = of(10.0, 2.0)
    assert found.evidence["waiting_ms"] == 9 * 8  # the first batch always waits
    assert "fit gathers" in found.cause
    assert "prefetch" in found.remedy
    assert found.command is None
    assert of(10.0, 9.0) == []


def test_a_batch_too_small_to_train_by_hand(onednn):
    def of(updates, idle, work):
        ops = [
            kernel("up", "ResourceApply", "m/a", 10 * updates, phase="optimizer"),
            kernel("mul", "MatMul", "m/a", 10 * work, phase="backward"),
        ]
        rows = [layer("m/a", "Dense", 10 * (updates + work))]
        ran = steps(updates + idle + work, updates + work)
        made = trained(rows, ops, None, {DISPATCH: 10 * idle}, ran, samples=320)
        return [each for each in candidates(made) if each.kind == "batch size too small"]

    (found,) = of(updates=4.0, idle=2.0, work=4.0)
    # The first batch's idle time may be a wait for data.
    assert found.evidence["updates_ms"] == 40
    assert found.evidence["idle_ms"] == 18
    assert found.evidence["sample_ms"] == (100 - 58) / 320
    assert of(updates=1.0, idle=1.0, work=8.0) == []


def test_a_batch_too_small_to_train():
    def of(batch_size, width):
        found = kinds(dense(width, "a"), dense(width, "b"), shape=(width,), batch_size=batch_size)
        return "batch size too small" in {kind for kind, _ in found}

    assert of(2, 512)


def trained(rows, *more, **settings):
    """A run of fit by hand."""
    rows = [{"backward_ms": 0.0, "optimizer_ms": 0.0, "recomputed_ms": 0.0} | row for row in rows]
    rows = [{"mults_backward": 0, "params": 0, "call": 1, "forward_ms": 0.0} | row for row in rows]
    return run(rows, *more, call="fit", **settings)
