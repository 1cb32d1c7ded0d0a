"""What batch norm costs in four worlds: Keras 3 and Keras 2, oneDNN on and off, on this machine.

    python benchmarks/four_worlds.py [--samples 2000] [--rounds 3] [--pairs 9]

Each world is a process of its own, since oneDNN is decided when TensorFlow is loaded. The rounds
are interleaved (all worlds once, then again), so that a machine that changes changes for all; the
middle of the rounds is printed. One row per world: time per image of convolution, batch norm and
dense in the mission's network with batch norm (the trace's own kernels, each execution at its
median), and the ratio of predict and of evaluate with batch norm to without, both without
tf.data's autotuner, with the smallest and largest of the rounds. The table is Markdown.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
from typing import Any

WORLDS = tuple((keras, onednn) for keras in (3, 2) for onednn in (True, False))
LAYERS = {"Conv2D": "conv us", "BatchNormalization": "BN us", "Dense": "dense us"}
BATCH = 32


def main() -> None:
    """Measure every world in turn, or one when called as a child."""
    arguments = _arguments()
    if arguments.keras is not None:
        print(json.dumps(measure(arguments.keras, arguments.samples, arguments.pairs)))
        return
    rounds: dict[tuple[int, bool], list[dict[str, Any]]] = {world: [] for world in WORLDS}
    for number in range(arguments.rounds):
        for world in WORLDS if number % 2 == 0 else WORLDS[::-1]:
            rounds[world].append(_child(world, arguments))
    print("| world | " + " | ".join(LAYERS.values()) + " | predict | evaluate |")
    print("|---" * (len(LAYERS) + 3) + "|")
    for (keras, onednn), found in rounds.items():
        cells = [_times(found, name) for name in LAYERS]
        cells += [_ratios(found, name) for name in ("predict", "evaluate")]
        name = f"Keras {keras}, oneDNN {'on' if onednn else 'off'}"
        print(f"| {name} | " + " | ".join(cells) + " |")


def measure(keras: int, samples: int, pairs: int) -> dict[str, Any]:
    """One world: us per image and layer type, and the two ratios."""
    import numpy as np

    import tftrace
    from tftrace.comparison.ratio import interleave

    random = np.random.default_rng(0)
    x = random.random((samples, 32, 32, 3), dtype=np.float32)
    plain, normal = (_network(keras, batch_norm) for batch_norm in (False, True))
    profile = tftrace.profile(
        normal, x, batch_size=BATCH, repeats=0, calibrate=False, trace_batches=0
    )
    found: dict[str, Any] = {"onednn": profile.machine["onednn"]}
    found |= {name: _us(profile, name, samples) for name in LAYERS}
    steady = _steady(x, np.zeros(samples, np.int32))
    for name in ("predict", "evaluate"):
        runs = [_pass(getattr(model, name), steady[name]) for model in (plain, normal)]
        without, with_norm = interleave(*runs, pairs, warmup=2)
        found[name] = statistics.median(with_norm) / statistics.median(without)
    return found


def _us(profile: Any, layer_type: str, samples: int) -> float:
    """Settled time of the kernels of that layer type, us per image."""
    from tftrace.findings.basis.figures import by_layer, kernels, settled_ms

    types = dict(zip(profile.layers["path"], profile.layers["type"], strict=True))
    mine = [k for p, ks in by_layer(kernels(profile)).items() if types[p] == layer_type for k in ks]
    return 1e3 * settled_ms(mine) / samples


def _network(keras: int, batch_norm: bool) -> Any:
    if keras == 2:
        import tf_keras as library
    else:
        import keras as library

    layers = library.layers
    model = library.Sequential()
    model.add(library.Input((32, 32, 3)))
    model.add(layers.Conv2D(32, 3, padding="same", activation="relu"))
    if batch_norm:
        model.add(layers.BatchNormalization())
    model.add(layers.Flatten())
    model.add(layers.Dense(43, activation="softmax"))
    model.compile(loss="sparse_categorical_crossentropy", jit_compile=False)
    return model


def _steady(x: Any, y: Any) -> dict[str, Any]:
    """The batches of predict and of evaluate, with tf.data's autotuner off."""
    import tensorflow as tf

    options = tf.data.Options()
    options.autotune.enabled = False
    whole = {"predict": (x,), "evaluate": (x, y)}
    return {
        name: tf.data.Dataset.from_tensor_slices(data).batch(BATCH).with_options(options)
        for name, data in whole.items()
    }


def _pass(function: Any, data: Any) -> Any:
    return lambda: function(data, verbose=0)


def _child(world: tuple[int, bool], arguments: argparse.Namespace) -> dict[str, Any]:
    keras, onednn = world
    environment = {**os.environ, "TF_ENABLE_ONEDNN_OPTS": "1" if onednn else "0"}
    environment.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    command = [sys.executable, __file__, "--keras", str(keras)]
    command += ["--samples", str(arguments.samples), "--pairs", str(arguments.pairs)]
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, check=True, text=True)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    if found["onednn"] is not onednn:
        raise SystemExit(f"oneDNN was asked to be {onednn} and is {found['onednn']}")
    return found


def _times(rounds: list[dict[str, Any]], name: str) -> str:
    return f"{statistics.median(found[name] for found in rounds):.1f}"


def _ratios(rounds: list[dict[str, Any]], name: str) -> str:
    values = sorted(found[name] for found in rounds)
    return f"{statistics.median(values):.2f} ({values[0]:.2f}-{values[-1]:.2f})"


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--samples", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--pairs", type=int, default=9)
    parser.add_argument("--keras", type=int, choices=(2, 3), help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    main()
