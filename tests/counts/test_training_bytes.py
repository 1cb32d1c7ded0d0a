"""What fit takes of memory besides: gradients and the optimizer's variables, by hand.

Dense 10 -> 4 and a BatchNormalization of 4 learn 44 + 8 numbers, 208 bytes; moving averages learn
not. Every optimizer has an int64 and a float32: its count of steps and its learning rate.
"""

import json

import keras
import pytest
from typer.testing import CliRunner

import tftrace.cli
from tftrace.api.count import training
from tftrace.errors import TftraceError

LEARNS, OWN = 208, 12


def network(optimizer=None, name="m"):
    layers = [keras.Input((10,)), keras.layers.Dense(4), keras.layers.BatchNormalization()]
    model = keras.Sequential(layers, name=name)
    if optimizer is not None:
        model.compile(optimizer, "mse")
    return model


@pytest.mark.parametrize(("name", "slots"), [("sgd", 0), ("rmsprop", 1), ("adam", 2)])
def test_of_an_optimizer_that_is_named(name, slots):
    found = training(network(), name)
    assert found.gradients_bytes == LEARNS
    assert found.optimizer_bytes == slots * LEARNS + OWN


def test_of_the_model_that_is_compiled_which_stays_as_it_is():
    """AdamW has two moments and an average of each number."""
    model = network(keras.optimizers.AdamW(use_ema=True))
    assert training(model).optimizer_bytes == 3 * LEARNS + OWN
    assert not model.optimizer.built
    model.optimizer.build(model.trainable_variables)
    assert training(model).optimizer_bytes == 3 * LEARNS + OWN
    model.layers[0].trainable = False
    assert training(network("sgd")).gradients_bytes == LEARNS
    assert training(model).gradients_bytes == 32


@pytest.mark.parametrize(
    ("model", "name", "said"),
    [(network(), None, "--optimizer adam"), (network(), "adaam", "adaam")],
)
def test_what_is_not_known_is_one_line(model, name, said):
    with pytest.raises(TftraceError, match=said):
        training(model, name)


def test_the_command_line(tmp_path):
    path, out = tmp_path / "m.keras", tmp_path / "count.json"
    network().save(path)
    app = tftrace.cli.app

    def count(*options):
        return CliRunner().invoke(app, ["count", str(path), *options])

    done = count("--phase", "fit", "--optimizer", "adam", "--json", str(out))
    assert done.exit_code == 0, done.output
    assert json.loads(out.read_text())["training"] == {
        "optimizer": "Adam",
        "gradients_bytes": LEARNS,
        "optimizer_bytes": 2 * LEARNS + OWN,
    }
    assert "gradients 208 B at most, Adam 428 B" in " ".join(
        count("--phase", "fit", "--optimizer", "adam").stdout.split()
    )
    for options in (["--phase", "fit"], ["--phase", "evaluate"], ["--optimizer", "adam"]):
        assert isinstance(count(*options).exception, TftraceError)
