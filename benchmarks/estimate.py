"""Error of `tftrace estimate` on networks that no calibration has seen, in one run.

    python benchmarks/estimate.py [--batch 8] [--batches 2] [--repeats 7] [NETWORK ...]

Calibrates anew, predicts each network of keras.applications before it runs, measures it, and prints
the error of the estimate beside that of multiplications alone. The calibration samples single
kernels of random shapes; no network is among them.
"""

from __future__ import annotations

import argparse
import os
import statistics

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

HELD_OUT = (
    "ResNet50V2",
    "EfficientNetV2B0",
    "MobileNetV3Small",
    "DenseNet169",
    "NASNetMobile",
    "VGG19",
    "ResNet101",
    "ConvNeXtTiny",
)


def main() -> None:
    """Print one row per network and the medians."""
    arguments = _arguments()
    import keras

    from tftrace.api.estimate import estimate, measure
    from tftrace.machine.calibrate import calibrate
    from tftrace.tracer.setting import setting

    machine = calibrate(setting(), force=not arguments.keep, full=True)
    print(*machine.warnings, sep="\n")
    print(
        f"{'network':18} {'measured':>9} {'estimate':>9} {'error':>7} "
        f"{'MACs only':>10} {'error':>7}"
    )
    errors: list[float] = []
    mac_errors: list[float] = []
    for name in arguments.networks or HELD_OUT:
        keras.backend.clear_session()
        model = getattr(keras.applications, name)(weights=None, input_shape=(224, 224, 3))
        shapes = [(arguments.batch, 224, 224, 3)]
        total = estimate(model, shapes, batches=arguments.batches).total
        measured = measure(model, shapes, arguments.batches, repeats=arguments.repeats)
        error, mac_error = total.ms / measured - 1, total.mac_only_ms / measured - 1
        errors.append(abs(error))
        mac_errors.append(abs(mac_error))
        print(
            f"{name:18} {measured:9.0f} {total.ms:9.0f} {error:+7.1%} "
            f"{total.mac_only_ms:10.0f} {mac_error:+7.1%}",
            flush=True,
        )
    ours, theirs = statistics.median(errors), statistics.median(mac_errors)
    print(f"median absolute error: estimate {ours:.1%}, multiplications alone {theirs:.1%}")
    print(f"ratio: {theirs / ours:.1f}")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("networks", nargs="*")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--batches", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--keep", action="store_true", help="use the calibration that is cached")
    return parser.parse_args()


if __name__ == "__main__":
    main()
