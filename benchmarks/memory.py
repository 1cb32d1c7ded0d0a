"""The computed peak of activations against the measured one, network by network.

    python benchmarks/memory.py [NETWORK …] [--batch 4] [--onednn 0 1] [--json FILE]

The networks are those of keras.applications, with weights of chance, each in a process of its own.
Measured is what TensorFlow's allocator notes in a `predict` of two batches
(`profile(…, memory=True)`): the most that the kernels' buffers held at once, in bytes asked for.
`kept` is the same in bytes that the allocator kept for them, which oneDNN's rounds up. Computed is
`tftrace.count(…).memory`, without running; with oneDNN, whose allocator does not note what is
smaller than 256 KiB, without what is. What differs is told by the buffers held at one of the two
peaks and not at the other.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path
from statistics import median
from typing import Any

NETWORKS = (
    *("ConvNeXtTiny", "DenseNet121", "DenseNet169", "EfficientNetB0", "EfficientNetB3"),
    *("EfficientNetV2B0", "EfficientNetV2S", "InceptionResNetV2", "InceptionV3", "MobileNet"),
    *("MobileNetV2", "MobileNetV3Large", "MobileNetV3Small", "NASNetMobile", "ResNet101"),
    *("ResNet50", "ResNet50V2", "VGG16", "VGG19", "Xception"),
)
SHOWN = 3


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("networks", nargs="*", default=NETWORKS)
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--onednn", nargs="+", default=["0", "1"])
    parser.add_argument("--json", type=Path, help="also write what was found")
    options = parser.parse_args()
    found = []
    for onednn in options.onednn:
        print(f"oneDNN {onednn}, batch {options.batch}; MB")
        print(f"{'network':20}{'computed':>10}{'measured':>10}{'error':>8}{'kept':>10}")
        rows = [run_self(name, options.batch, onednn) for name in options.networks]
        errors = sorted(abs(row["error"]) for row in rows)
        print(f"median {median(errors):.2%}, worst {errors[-1]:.2%}\n")
        found += rows
    if options.json is not None:
        options.json.write_text(json.dumps(found))


def run_self(name: str, batch: int, onednn: str) -> dict[str, Any]:
    """Measure in a new process, and print the row."""
    environment = {**os.environ, "TF_ENABLE_ONEDNN_OPTS": onednn, "TF_CPP_MIN_LOG_LEVEL": "3"}
    code = f"import memory; memory.measure({name!r}, {batch})"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=environment,
        cwd=Path(__file__).parent,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        check=True,
        text=True,
    )
    row = json.loads(done.stdout.splitlines()[-1])
    numbers = "".join(f"{row[k] / 1e6:10.2f}" for k in ("computed", "measured"))
    print(f"{name:20}{numbers}{row['error']:8.2%}{row['kept'] / 1e6:10.2f}", flush=True)
    if abs(row["error"]) > 0.01:
        for side in ("only computed", "only measured"):
            print(f"    {side}: " + ", ".join(f"{k} {v / 1e6:.2f}" for k, v in row[side].items()))
    return {"network": name, "onednn": onednn, **row}


def measure(name: str, batch: int) -> None:
    """Compute and measure one network, and print it as JSON."""
    import keras
    import numpy as np

    import tftrace

    size = {"input_shape": (224, 224, 3)} if name.startswith("MobileNetV3") else {}
    model = getattr(keras.applications, name)(weights=None, **size)
    shape = tuple(model.inputs[0].shape[1:])
    program = computed(model, (batch, *shape))
    data = np.random.default_rng(0).random((2 * batch, *shape), "float32")
    profile = tftrace.profile(
        model, data, batch_size=batch, repeats=0, calibrate=False, memory=True
    )
    measured = of_kernels(profile)
    large = {k: v for k, v in program.held.items() if v >= profile._held.smallest}
    print(json.dumps({**difference(large, measured.pop("held")), **measured}))


def computed(model: Any, shape: tuple[int, ...]) -> Any:
    """The peak that is computed, with its holders by operation."""
    from tftrace.counts.liveness import peak_of
    from tftrace.tracer.graphs.optimized import kernels_of
    from tftrace.tracer.graphs.programs import trace_call
    from tftrace.tracer.setting import setting

    kernels, reason = kernels_of(trace_call(model, [shape])[0])
    assert kernels is not None, reason
    here = setting()
    intra_op, inter_op = (threads or here.cores or 1 for threads in here.threads or (0, 0))
    return peak_of(kernels, bool(here.onednn), inter_op, intra_op)


def of_kernels(profile: Any) -> dict[str, Any]:
    """The most that buffers of the model's kernels held at once: asked for, and kept."""
    import numpy as np

    held = profile._held
    buffers, events = held.buffers, held.join.run.trace.events
    asked_for = events.stats["requested_bytes"].at(np.arange(len(events)), 0)
    at = {
        (int(events.line[i]), int(events.start_ps[i])): int(asked_for[i])
        for i in np.flatnonzero(asked_for)
    }
    own = np.flatnonzero((held.holder >= 0) & (buffers.line >= 0))
    place = zip(buffers.line[own].tolist(), buffers.start[own].tolist(), strict=True)
    asked = np.array([at[where] for where in place])
    measured, moment = most(buffers.start[own], buffers.end[own], asked)
    kept, _ = most(buffers.start[own], buffers.end[own], buffers.bytes[own])
    alive = (buffers.start[own] <= moment) & (moment < buffers.end[own])
    names: dict[str, int] = {}
    for i, size in zip(own[alive].tolist(), asked[alive].tolist(), strict=True):
        names[buffers.op[i]] = names.get(buffers.op[i], 0) + size
    return {"measured": measured, "kept": kept, "held": names}


def most(start: Any, end: Any, size: Any) -> tuple[int, int]:
    """The largest sum at once, and when."""
    import numpy as np

    time, change = np.r_[start, end], np.r_[size, -size]
    order = np.lexsort((change, time))
    held = np.cumsum(change[order])
    at = int(np.argmax(held))
    return int(held[at]), int(time[order][at])


def difference(computed: dict[str, int], measured: dict[str, int]) -> dict[str, Any]:
    """Both sums, the relative error, and the largest holders on one side alone."""
    sums = sum(computed.values()), sum(measured.values())
    return {
        "computed": sums[0],
        "error": sums[0] / sums[1] - 1,
        "only computed": largest(computed, measured),
        "only measured": largest(measured, computed),
    }


def largest(own: dict[str, int], other: dict[str, int]) -> dict[str, int]:
    more = ((name, size - other.get(name, 0)) for name, size in own.items())
    return dict(sorted((pair for pair in more if pair[1] > 0), key=lambda pair: -pair[1])[:SHOWN])


if __name__ == "__main__":
    main()
