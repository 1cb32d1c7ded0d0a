"""What folding batch norm saves, against what the findings promised, in one run.

    python benchmarks/fold.py [--samples 64] [--batch 16] [--pairs 9] [NETWORK | FILE ...]

Each network gets random batch norm statistics, is profiled, folded, and both are measured in
turn, without the wait for tf.data's autotuner where predict on arrays ends. Printed: the saving
that the run's findings promise for the norms that were folded, the measured difference of medians
with its interval, the ratio of the two, and the original's median; times in ms.

A FILE is a saved model, measured with its own statistics. It gets an eighth of the samples, each of
length 12,000 where its input has none; the mission's network, which is tiny, gets 40 times as many.
"""

from __future__ import annotations

import argparse
import os
import statistics
from functools import partial
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

NETWORKS = ("mission", "ResNet50", "MobileNetV2", "DenseNet121", "EfficientNetB0")


def main() -> None:
    """Print one row per network."""
    arguments = _arguments()
    import numpy as np

    import tftrace
    from tftrace.comparison.ratio import interleave, ratio_of
    from tftrace.folding.fold import fold
    from tftrace.tracer.predict import Predict

    print(
        f"{'network':16} {'error':>8} {'folded':>7} {'promised':>9} {'measured':>9} {'95 %':>11} "
        f"{'ratio':>6} {'of ms':>7}"
    )
    random = np.random.default_rng(0)
    for name in arguments.networks or NETWORKS:
        model = _network(name)
        if not Path(name).suffix:
            _randomise(model, random)
        shape = [extent or 12_000 for extent in model.inputs[0].shape[1:]]
        samples = _samples(name, arguments.samples)
        x = random.random((samples, *shape), dtype=np.float32)
        profile = tftrace.profile(
            model, x, batch_size=arguments.batch, repeats=0, calibrate=False, trace_batches=0
        )
        result = fold(model, x)
        gone = {f.layer for f in result.folded}
        promised = sum(
            f["saving_ms"] or 0.0
            for f in profile.findings
            if f["kind"] == "unfused batch norm" and f["layer"].rpartition("/")[2] in gone
        )

        sides = [Predict(side, arguments.batch) for side in (model, result.model)]
        before, after = interleave(
            partial(sides[0].steady, x), partial(sides[1].steady, x), arguments.pairs, warmup=2
        )
        middle = statistics.median(before)
        saved = middle - statistics.median(after)
        ratio = ratio_of(before, after)
        low, high = (middle * (1 - end) for end in (ratio.high, ratio.low))
        norms = len(gone) + len(result.kept)
        print(
            f"{Path(name).stem:16} {result.max_rel_error:8.1e} {len(gone):3}/{norms:<3} "
            f"{promised:9.0f} {saved:9.0f} {low:4.0f} to {high:3.0f} {promised / saved:6.2f} "
            f"{middle:7.0f}",
            flush=True,
        )


def _samples(name: str, samples: int) -> int:
    if Path(name).suffix:
        return max(1, samples // 8)
    return samples * 40 if name == "mission" else samples


def _network(name: str) -> object:
    import keras

    if Path(name).suffix:
        return keras.models.load_model(name, compile=False)
    if name == "mission":
        from tftrace.demo import build

        return build(batch_norm=True)
    return getattr(keras.applications, name)(weights=None, input_shape=(128, 128, 3))


def _randomise(model: object, random: object) -> None:
    """Statistics as after training: near, but not at, what makes the norm do nothing."""
    import keras

    for layer in model.layers:  # type: ignore[attr-defined]
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.set_weights([random.uniform(0.5, 1.5, w.shape) for w in layer.get_weights()])  # type: ignore[attr-defined]


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("networks", nargs="*")
    parser.add_argument("--samples", type=int, default=64)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--pairs", type=int, default=9)
    return parser.parse_args()


if __name__ == "__main__":
    main()
