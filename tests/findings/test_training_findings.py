"""Findings of ``fit``: each with a network that triggers it and one that must not."""

import keras
import networks
import pytest

import tftrace
from tftrace.findings.registry import candidates

layers = keras.layers


def kinds(*inside, shape=(16,), batch_size=32, frozen=(), jit="off"):
    """Kind and layer of what the rules say of one epoch."""
    model = keras.Sequential([keras.Input(shape), *inside], name="net")
    for name in frozen:
        model.get_layer(name).trainable = False
    model.compile("adam", "mse")
    y = networks.normal(64, *model.output_shape[1:])
    options = {"repeats": 0, "calibrate": False, "batch_size": batch_size, "jit": jit}
    found = tftrace.profile(model, networks.normal(64, *shape), y, phase="fit", **options)
    assert found.no_findings is None
    # However small: what is told depends on the machine.
    return {(each.kind, each.layer) for each in candidates(found)}


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
