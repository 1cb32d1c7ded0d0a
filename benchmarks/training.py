"""What batch norm costs in predict, evaluate and fit, forward and backward, with oneDNN on and off.

    python benchmarks/training.py [--samples 2000] [--rounds 3] [--pairs 7]

The mission's network, Keras 3. Each setting of oneDNN is a process of its own, and the rounds are
interleaved. A row per setting: batch norm's time per image in each way to run the network, and the
ratios of whole passes with batch norm to without (interleaved, without tf.data's autotuner); the
middle of the rounds, with the smallest and the largest. The table is Markdown.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
from collections.abc import Callable
from typing import Any

BATCH = 32
TIMES = {
    "predict": ("predict", "forward_ms"),
    "evaluate": ("evaluate", "forward_ms"),
    "fit forward": ("fit", "forward_ms"),
    "fit backward": ("fit", "backward_ms"),
    "fit optimizer": ("fit", "optimizer_ms"),
}
WAYS = ("predict", "evaluate", "fit")


def main() -> None:
    """Measure with oneDNN on and off in turn, or as it is when called as a child."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--samples", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--pairs", type=int, default=7)
    parser.add_argument("--child", action="store_true")
    arguments = parser.parse_args()
    if arguments.child:
        print(json.dumps(measure(arguments.samples, arguments.pairs)))
        return
    found: dict[str, list[dict[str, float]]] = {"1": [], "0": []}
    for number in range(arguments.rounds):
        for setting in sorted(found, reverse=number % 2 == 0):
            found[setting].append(_child(setting, arguments))
    headings = [*(f"{name}, us" for name in TIMES), *(f"ratio of {way}" for way in WAYS)]
    print("| oneDNN | " + " | ".join(headings) + " |")
    print("|---" * (len(headings) + 1) + "|")
    for setting, rounds in found.items():
        cells = [_range([each[key] for each in rounds]) for key in rounds[0]]
        print(f"| {'on' if setting == '1' else 'off'} | " + " | ".join(cells) + " |")


def measure(samples: int, pairs: int) -> dict[str, float]:
    """Batch norm's us per image in each way, then the ratio of each way's passes."""
    import numpy as np

    import tftrace
    from tftrace.comparison.ratio import interleave

    random = np.random.default_rng(0)
    x = random.random((samples, 32, 32, 3), dtype=np.float32)
    y = random.integers(0, 43, samples).astype("int32")
    plain, normal = (_network(batch_norm) for batch_norm in (False, True))
    layers: dict[str, Any] = {}
    for way in WAYS:
        labels = {} if way == "predict" else {"y": y, "phase": way}
        profile = tftrace.profile(
            normal, x, **labels, batch_size=BATCH, repeats=0, calibrate=False, trace_batches=0
        )
        table = profile.layers.set_index("type")
        layers[way] = table.loc["BatchNormalization"]
        if way == "predict":
            layers[way] = {"forward_ms": layers[way]["wall_ms"]}
    result = {
        name: 1e3 * float(layers[way][column]) / samples for name, (way, column) in TIMES.items()
    }
    for way in WAYS:
        data = _steady((x,) if way == "predict" else (x, y))
        runs = [_pass(getattr(model, way), data) for model in (plain, normal)]
        without, with_norm = interleave(*runs, pairs, warmup=2)
        result[f"ratio of {way}"] = statistics.median(with_norm) / statistics.median(without)
    return result


def _network(batch_norm: bool) -> Any:
    import keras

    layers = keras.layers
    inside = [layers.Conv2D(32, 3, padding="same", activation="relu")]
    inside += [layers.BatchNormalization()] if batch_norm else []
    inside += [layers.Flatten(), layers.Dense(43, activation="softmax")]
    model = keras.Sequential([keras.Input((32, 32, 3)), *inside])
    model.compile("sgd", "sparse_categorical_crossentropy", jit_compile=False)
    return model


def _steady(data: Any) -> Any:
    """The batches, with tf.data's autotuner off."""
    import tensorflow as tf

    options = tf.data.Options()
    options.autotune.enabled = False
    return tf.data.Dataset.from_tensor_slices(data).batch(BATCH).with_options(options)


def _pass(function: Any, data: Any) -> Callable[[], Any]:
    return lambda: function(data, verbose=0)


def _child(setting: str, arguments: argparse.Namespace) -> dict[str, float]:
    environment = {**os.environ, "TF_ENABLE_ONEDNN_OPTS": setting}
    environment.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    command = [sys.executable, __file__, "--child"]
    command += ["--samples", str(arguments.samples), "--pairs", str(arguments.pairs)]
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, check=True, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def _range(values: list[float]) -> str:
    middle = statistics.median(values)
    digits = 2 if middle < 10 else 1
    return f"{middle:.{digits}f} ({min(values):.{digits}f}-{max(values):.{digits}f})"


if __name__ == "__main__":
    main()
