"""Capture real traces, in a process of its own: `python capture.py OUT`, OUT a folder."""

import os
import shutil
import sys
from pathlib import Path

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import keras
import numpy as np
import tensorflow as tf
from keras import layers


def cnn() -> keras.Model:
    return keras.Sequential(
        [
            layers.Input((16, 16, 3)),
            layers.Conv2D(8, 3, padding="same"),
            layers.BatchNormalization(),
            layers.ReLU(),
            layers.Conv2D(8, 3),
            layers.Flatten(),
            layers.Dense(10),
        ]
    )


def lstm() -> keras.Model:
    return keras.Sequential([layers.Input((20, 8)), layers.LSTM(16), layers.Dense(2)])


def capture(model: keras.Model, jit_compile: bool, target: Path) -> None:
    model.compile(jit_compile=jit_compile)
    data = np.zeros((5 * 32, *model.input_shape[1:]), "float32")
    model.predict(data, batch_size=32, verbose=0)
    folder = target.with_suffix("")
    tf.profiler.experimental.start(str(folder))
    model.predict(data, batch_size=32, verbose=0)
    tf.profiler.experimental.stop()
    (trace,) = folder.rglob("*.xplane.pb")
    shutil.move(trace, target)


if __name__ == "__main__":
    out = Path(sys.argv[1])
    capture(cnn(), False, out / "cnn.pb")
    capture(lstm(), False, out / "lstm.pb")
    capture(cnn(), True, out / "xla.pb")
