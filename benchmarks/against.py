"""How long a run takes to read with this tftrace over another checkout of it, in one run.

    python benchmarks/against.py CHECKOUT [--pairs 9] [--model MobileNetV2]

The other checkout measures `predict` of a network, so that both can read the run. Then processes
take turns, one of either; each opens the run and makes its tables (layers, ops, wall, steps) and
findings. Told is the processor time of all threads behind the imports (other programs disturb it
less than the time of day), median with the smallest and the largest, and the ratio over the pairs.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median

HERE = Path(__file__).resolve().parent.parent

CAPTURE = """
import sys, keras, numpy as np, tftrace
model = getattr(keras.applications, sys.argv[2])(weights=None)
data = np.random.rand(32, *model.input_shape[1:]).astype("float32")
tftrace.profile(model, data, batch_size=4, repeats=0, calibrate=False, out=sys.argv[1])
"""
READ = """
import sys, time, pandas, tftrace, tftrace.findings
begin = time.process_time()
run = tftrace.load(sys.argv[1])
run.layers, run.ops, run.wall, run.steps, run.findings
print(time.process_time() - begin)
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("checkout", type=Path, help="folder of the other tftrace")
    parser.add_argument("--pairs", type=int, default=9)
    parser.add_argument("--model", default="MobileNetV2", help="name in keras.applications")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        python(options.checkout, CAPTURE, folder, options.model)
        trace = next(Path(folder).glob("**/*.xplane.pb"))
        for code in (options.checkout, HERE):
            python(code, READ, folder)  # compiles, where that has not been done yet
        pairs = [
            tuple(float(python(code, READ, folder)) for code in (options.checkout, HERE))
            for _ in range(options.pairs)
        ]
        print(f"{options.model}, trace of {trace.stat().st_size / 1e6:.1f} MB")
    for name, seconds in zip(("other", "this"), zip(*pairs, strict=True), strict=True):
        print(f"{name}: {told([1e3 * s for s in seconds])} ms")
    print(f"this over other: {told([this / other for other, this in pairs])}")


def python(checkout: Path, code: str, *arguments: str) -> str:
    """What the code prints, run with the tftrace of a checkout."""
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        env=os.environ | {"PYTHONPATH": str(checkout.resolve()), "TF_CPP_MIN_LOG_LEVEL": "3"},
        check=True,
        capture_output=True,
        text=True,
    )
    return done.stdout.strip()


def told(values: list[float]) -> str:
    """Median, and from the smallest to the largest."""
    return f"{median(values):.3g} ({min(values):.3g} to {max(values):.3g})"


if __name__ == "__main__":
    main()
