"""Kind of data by way to run: each cell runs, or is refused with its one line.

`python tests/api/test_kinds_by_ways.py` prints the table.
"""

import sys
import tempfile
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from typer.testing import CliRunner

sys.path.insert(0, str(Path(__file__).parents[1]))
from kinds import ARRAYS, BATCHES, KINDS, SAMPLES, STEPS, Kind

import tftrace
from tftrace.cli import app

RUNS = "runs"
MODULE, FILE = "run --data-module", "run x.npy, x.npz"
GIVEN = """from kinds import KINDS
def data():
    return KINDS[{!r}].data()
"""


def profiled(kind: str, folder: Path) -> str:
    this = KINDS[kind]
    wanted = SAMPLES if this.steps else None
    try:
        profile = tftrace.profile(
            this.model, this.data(), samples=wanted, repeats=0, calibrate=False, out=folder
        )
    except tftrace.TftraceError as error:
        return refused(error)
    return checked(this, profile, STEPS)


def traced(call: Callable[[Kind, Any], Any], steps: int) -> Callable[[str, Path], str]:
    def way(kind: str, folder: Path) -> str:
        this = KINDS[kind]
        try:
            expected = call(this, this.data())
        except (ValueError, TypeError) as error:
            with tftrace.trace(folder) as tracing, warnings.catch_warnings():
                warnings.simplefilter("ignore", tftrace.TftraceWarning)
                with pytest.raises(type(error)):
                    call(this, this.data())
            assert tracing.profiles == []
            return f"error of Keras: {error}"
        with tftrace.trace(folder) as tracing, warnings.catch_warnings():
            warnings.simplefilter("ignore", tftrace.TftraceWarning)
            found = call(this, this.data())
        np.testing.assert_array_equal(found, expected)
        if tracing.untraced:
            return refused(tracing.untraced[0])
        return checked(this, tracing.profile, steps)

    return way


def called_back(kind: str, folder: Path) -> str:
    this = KINDS[kind]
    try:
        expected = this.model.predict(this.data(), steps=this.steps, verbose=0)
    except ValueError as error:
        return f"error of Keras: {error}"
    watch = tftrace.Callback(folder)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", tftrace.TftraceWarning)
        found = this.model.predict(this.data(), steps=this.steps, callbacks=[watch], verbose=0)
    np.testing.assert_array_equal(found, expected)
    return refused(watch.untraced[0]) if watch.untraced else checked(this, watch.profile, STEPS)


def by_module(kind: str, folder: Path) -> str:
    (folder / "given.py").write_text(GIVEN.format(kind))
    sys.modules.pop("given", None)
    sys.path.insert(0, str(folder))
    try:
        return run(KINDS[kind], folder, "--data-module", "given:data")
    finally:
        sys.path.remove(str(folder))


def by_file(kind: str, folder: Path) -> str:
    data, file = KINDS[kind].data(), folder / "x.npz"
    if isinstance(data, np.ndarray):
        file = folder / "x.npy"
        np.save(file, data)
    elif kind == "list":
        np.savez(file, *data)
    else:
        np.savez(file, **data)
    return run(KINDS[kind], folder, str(file))


def run(kind: Kind, folder: Path, *data: str) -> str:
    kind.model.save(folder / "model.keras")
    samples = ("--samples", str(SAMPLES)) if kind.steps else ()
    fixed = ("--repeats", "0", "--warmup", "0", "--no-calibrate", "--out", str(folder / "runs"))
    done = CliRunner().invoke(app, ["run", str(folder / "model.keras"), *data, *samples, *fixed])
    if isinstance(done.exception, tftrace.TftraceError):
        return refused(done.exception)
    assert done.exit_code == 0, done.exception
    return checked(kind, tftrace.load(folder / "runs"), STEPS)


def refused(why: object) -> str:
    assert len(str(why).splitlines()) == 1
    return f"refused: {why}"


def checked(kind: Kind, profile: tftrace.Profile, steps: int) -> str:
    samples = kind.steps * 32 if kind.steps else SAMPLES
    assert (profile.run["samples"], profile.run["steps"]) == (samples, steps)
    assert len(profile.steps) == steps
    assert profile.layers["expected_calls"].sum() > 0  # TensorFlow may not record the cheap ones
    if kind.macs is None:
        assert profile.layers.loc[profile.layers["macs"].isna(), "note"].notna().all()
    else:
        assert profile.layers["macs"].sum(min_count=len(profile.layers)) == kind.macs
    assert not any(profile.checks.values())
    return RUNS


WAYS: Mapping[str, Callable[[str, Path], str]] = {
    "profile(model, x)": profiled,
    "trace: predict": traced(
        lambda kind, x: kind.model.predict(x, steps=kind.steps, verbose=0), STEPS
    ),
    "trace: predict_on_batch": traced(lambda kind, x: kind.model.predict_on_batch(x), 1),
    "trace: tf.function": traced(
        lambda kind, x: tf.function(lambda b: kind.model(b, training=False))(x), 1
    ),
    "Callback": called_back,
    MODULE: by_module,
    FILE: by_file,
}
ONE_BATCH = ("trace: predict_on_batch", "trace: tf.function")
OTHERWISE = {
    # NumPy's own text: Keras takes it on a batch, not in predict.
    ("text <U", "trace: predict"): "error of Keras: Invalid dtype",
    ("text <U", "Callback"): "error of Keras: Invalid dtype",
    ("text S", "trace: predict"): "error of Keras: Invalid dtype",
    ("text S", "Callback"): "error of Keras: Invalid dtype",
    **{
        ("scipy.sparse", way): "error of Keras: Could not generate a generic TraceType"
        for way in ONE_BATCH
    },
    **{(kind, way): "error of Keras: " for kind in BATCHES for way in ONE_BATCH},
    ("generator", "Callback"): "refused: a generator's batches are gone; use tftrace.trace()",
    ("text objects", FILE): "holds Python objects; save plain numbers",
}
FILES = (*(k for k in ARRAYS if isinstance(ARRAYS[k].data(), np.ndarray)), "list", "dict by name")
CELLS = [(kind, way) for way in WAYS for kind in (FILES if way == FILE else KINDS)]
# Behind the loading of data the command does what profile() does: some of its cells will do.
SOME = (
    "float16",
    "dict by name",
    "text objects",
    "nested",
    "Series",
    "tf.data endless",
    "generator",
)


def is_slow(kind: str, way: str) -> bool:
    return way == MODULE and kind not in SOME


PARAMETERS = [
    pytest.param(*cell, id=" / ".join(cell), marks=[pytest.mark.slow] if is_slow(*cell) else [])
    for cell in CELLS
]


@pytest.mark.parametrize(("kind", "way"), PARAMETERS)
def test_a_cell(kind: str, way: str, tmp_path: Path) -> None:
    found, expected = WAYS[way](kind, tmp_path), OTHERWISE.get((kind, way))
    assert found == RUNS if expected is None else expected in found


def table() -> str:
    """Every cell, as Markdown; what is no plain "runs" is a note below."""
    notes: list[str] = []
    lines = ["| data | " + " | ".join(WAYS) + " |", "| --- |" + " --- |" * len(WAYS)]
    for kind in KINDS:
        cells = []
        for way, run_it in WAYS.items():
            if (kind, way) not in CELLS:
                cells.append("no such file")
                continue
            with tempfile.TemporaryDirectory() as folder:
                said = run_it(kind, Path(folder))
            if said != RUNS:
                what, _, why = said.partition(": ")
                why = why.splitlines()[0]
                if why not in notes:
                    notes.append(why)
                said = f"{what} ({notes.index(why) + 1})"
            cells.append(said)
        lines.append(f"| {kind} | " + " | ".join(cells) + " |")
    return "\n".join([*lines, "", *(f"{i}. {why}" for i, why in enumerate(notes, 1))])


if __name__ == "__main__":
    print(table())
