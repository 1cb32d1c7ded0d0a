"""Bad inputs by kind, and the commands that get them: a table of argument lists.

Every one must end with exit code 2 and one line on standard error that has the words given, print
nothing else, and write nothing. ``python bad_inputs.py`` tries them all and prints what fell short.
"""

import contextlib
import gzip
import io
import json
import logging
import os
import shutil
import signal
import struct
import sys
import tempfile
import traceback
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))
from stage_lines import without_stages

RUN = Path(__file__).parent.parent / "runs" / "version_0_1_0"
HUGE = str(10**20)
# `report --model` matches names, and builds nothing.
_CONFIGURATION_FINE = (
    *("config_class.h5", "config_no_class.keras", "config_unknown.keras", "config_shape.keras"),
    *("config_units.keras", "config_units_text.keras", "weights_none.keras", "weights_text.keras"),
)


# Functions for `--data-module` and `--model-module`, by what is wrong with them.
_MADE = """
import numpy as np
number = 5
def needs(argument): return np.zeros((8, 4), "float32")
def raises(): raise ValueError("of its own")
def exits(): raise SystemExit(0)
def nothing(): return None
def text(): return "x.npy"
def shape(): return np.zeros((8, 5), "float32")
def empty(): return np.zeros((0, 4), "float32")
def objects(): return np.array([{}] * 8)
def endless():
    while True: yield
def none(): yield from ()
def later():
    yield np.zeros((8, 4), "float32")
    raise ValueError("of its own")
"""
_WRONG_MODULES = (
    *("", ":", "no_such:f", "raises:f", "exits:f", "syntax:f", "made", "made:", ":needs", "made:f"),
    *("made:number", "made:needs", "made:raises", "made:exits", "made:a.b"),
)
_WRONG_DATA = ("nothing", "text", "shape", "empty", "objects")
_WRONG_BATCHES = ("endless", "none", "later")


@dataclass(frozen=True)
class Case:
    """Arguments, and the words that the one line must have; ``code`` is 2 but for `scan`."""

    arguments: tuple[str, ...]
    words: str

    @property
    def name(self) -> str:
        return " ".join(self.arguments)


def make_files(folder: Path) -> None:
    """All files that the table names, and a model, data and a run that are well."""
    import keras

    layers = [keras.Input((4,)), keras.layers.Dense(3), keras.layers.BatchNormalization()]
    model = keras.Sequential(layers, name="m")
    model.save(folder / "m.keras")
    model.save(folder / "m.h5")
    embedding = [keras.Input((3,), dtype="int32"), keras.layers.Embedding(5, 2)]
    keras.Sequential(embedding).save(folder / "embedding.keras")
    refusing = [keras.Input((None,)), keras.layers.Reshape((4, 2))]
    keras.Sequential(refusing).save(folder / "refuses.keras")
    np.save(folder / "x.npy", np.zeros((8, 4), "float32"))
    (folder / "loop").symlink_to("loop")
    np.save(folder / "index.npy", np.full((8, 3), 5, "int32"))
    (folder / "budget.toml").write_text("[latency]\nmedian_ms = 1e9\n")
    shutil.copytree(RUN, folder / "run")
    for kind, made in (
        ("data", _data()),
        ("model", _models(folder)),
        ("budget", _budgets()),
        ("manifest", _manifests()),
        ("trace", _traces()),
    ):
        (folder / kind).mkdir()
        for name, content in made:
            if kind in ("manifest", "trace"):
                place = folder / kind / name
                shutil.copytree(RUN, place)
                ending = "*.json" if kind == "manifest" else "*.pb"
                target = next(place.glob(ending))
                if content is None:
                    target.unlink()
                    target.mkdir()
                else:
                    target.write_bytes(content)
            elif content is None:
                (folder / kind / name).mkdir()
            else:
                (folder / kind / name).write_bytes(content)
    (folder / "raises.py").write_text("raise ValueError('of its own')")
    (folder / "exits.py").write_text("import sys; sys.exit(0)")
    (folder / "syntax.py").write_text("def (")
    (folder / "fine.py").write_text("class Fine: pass")
    (folder / "made.py").write_text(_MADE)
    (folder / "empty").mkdir()
    (folder / "alone").mkdir()
    shutil.copy(next(RUN.glob("*.pb")), folder / "alone" / "vm.xplane.pb")


def cases(folder: Path) -> Iterator[Case]:
    """The table, for files made by `make_files`."""
    for file in sorted((folder / "data").iterdir()):
        name = f"data/{file.name}"
        yield Case(("run", "m.keras", name), name)
        yield Case(("compare", "m.keras", "m.h5", name), name)
        yield Case(("advise", "m.keras", name), name)
        yield Case(("first", "m.keras", name), name)
        yield Case(("fold", "m.keras", "-o", "folded.keras", "--data", name), name)
    for file in sorted((folder / "model").iterdir()):
        name = f"model/{file.name}"
        yield Case(("run", name, "x.npy"), name)
        yield Case(("count", name), name)
        yield Case(("estimate", name), name)
        yield Case(("fold", name, "-o", "folded.keras"), name)
        yield Case(("compare", "m.keras", name, "x.npy"), name)
        if file.name not in _CONFIGURATION_FINE:
            yield Case(("report", "alone", "--model", name), name)
        if not file.is_dir() and file.suffix != ".json":
            yield Case(("run", name, "x.npy", "--keras", "2"), name)
    for file in sorted((folder / "budget").iterdir()):
        yield Case(("check", "run", "--budget", f"budget/{file.name}"), f"budget/{file.name}")
    for kind in ("manifest", "trace"):
        for file in sorted((folder / kind).iterdir()):
            name = f"{kind}/{file.name}"
            yield Case(("report", name), name)
            yield Case(("report", name, "--json", "report.json"), name)
            yield Case(("export", name, "-o", "tables"), name)
            yield Case(("export", name, "-o", "run.txt", "--format", "speedscope"), name)
            yield Case(("view", name, "--no-browser"), name)
            yield Case(("check", name, "--budget", "budget.toml"), name)
            yield Case(("compare", "run", name), name)
    yield from _options()
    yield from _others()
    yield from _paths()


def _options() -> Iterator[Case]:
    """Numbers out of range, words that are none, choices that are none."""
    run = ("run", "m.keras", "x.npy")
    fold = ("fold", "m.keras", "-o", "folded.keras")
    numbers = {
        **dict.fromkeys([(run, o) for o in ("--batch-size", "--samples", "--trace-batches")], "0"),
        **dict.fromkeys([(run, o) for o in ("--repeats", "--warmup", "--top", "--depth")], "-1"),
        (run, "--keras"): "1",
        **dict.fromkeys([(("count", "m.keras"), o) for o in ("--batch", "--flops-per-mac")], "0"),
        (("count", "m.keras"), "--top"): "-1",
        **dict.fromkeys([(("estimate", "m.keras"), o) for o in ("--batches", "--batch-size")], "0"),
        (("compare", "m.keras", "m.h5", "x.npy"), "--pairs"): "5",
        (("compare", "m.keras", "m.h5", "x.npy"), "--batch-size"): "0",
        (fold, "--pairs"): "5",
        (fold, "--batch-size"): "0",
        (("advise", "m.keras", "x.npy"), "--passes"): "5",
        (("advise", "m.keras", "x.npy"), "--samples"): "0",
        (("scan", "alone"), "--workers"): "0",
        (("scan", "alone"), "--top"): "-1",
        (("report", "run"), "--top"): "-1",
        (("report", "run"), "--depth"): "-1",
        (("demo",), "--samples"): "31",
    }
    for (command, option), least in numbers.items():
        for value in dict.fromkeys((least, "-1", f"-{HUGE}", HUGE, "", "x", "1.5", "nan")):
            yield Case((*command, option, value), option)
    for command, option in (
        (run, "--jit"),
        (run, "--sort"),
        (run, "--order"),
        (run, "--try"),
        (("count", "m.keras"), "--rule"),
        (("export", "run", "-o", "tables"), "--format"),
        (run, "--format"),
        (("report", "run"), "--format"),
    ):
        yield Case((*command, option, "x"), option)
        yield Case((*command, option, ""), option)
        yield Case((*command, option), option)
    for command in (
        "run",
        "report",
        "export",
        "scan",
        "count",
        "compare",
        "fold",
        "check",
        "advise",
        "view",
        "estimate",
        "first",
    ):
        yield Case((command,), "Missing argument")
        yield Case((command, "--nonsense"), "--nonsense")
    for shape in ("", "x", "0", "-1", "1,", HUGE, "4,4", "1.5", "4;4"):
        yield Case(("count", "m.keras", "--input-shape", shape), "shape")
        yield Case(("estimate", "m.keras", "--input-shape", shape), "shape")
    for word in ("", "jit", "jit=", "jit=x", "batch-size=0", "batch-size=x", "x=1", "freeze=x"):
        yield Case(("compare", "m.keras", "x.npy", "--set", word), "--set")
    yield Case(("nonsense",), "nonsense")
    yield Case(("--nonsense",), "--nonsense")


def _others() -> Iterator[Case]:
    for custom in ("", ":", "no_such", "raises", "exits", "syntax", "fine:Other", "fine:", ":Fine"):
        for command in (("count", "m.keras"), ("run", "m.keras", "x.npy")):
            yield Case((*command, "--custom", custom), "--custom")
    for module in (*_WRONG_MODULES, *(f"made:{name}" for name in _WRONG_DATA)):
        for command in (("run", "m.keras"), ("first", "m.keras"), ("advise", "m.keras")):
            yield Case((*command, "--data-module", module), "--data-module")
        yield Case(("fold", "m.keras", "-o", "folded.keras", "--data-module", module), "")
    for name in _WRONG_BATCHES:
        for command in (("run", "m.keras"), ("compare", "m.keras", "m.h5"), ("advise", "m.keras")):
            yield Case((*command, "--data-module", f"made:{name}"), "the data")
    for module in (*_WRONG_MODULES, "made:nothing", "made:text", "made:endless"):
        for command in (("count", "m.h5"), ("run", "m.h5", "x.npy"), ("estimate", "m.h5")):
            yield Case((*command, "--model-module", module), "--model-module")
    for sizes in ("", "1", "1,", "1,1", "0,1", "-1,2", "1;2", "x,2", f"1,{HUGE}"):
        yield Case(("estimate", "m.keras", "--batch", sizes), "--batch")
    for file in ("x.npy", "nowhere", "run", "budget.toml", ""):
        yield Case(("estimate", "m.keras", "--calibration", file), file)
    yield Case(("calibrate", "--export", "x.npy/c.json"), "x.npy")
    for url in ("gs://b/x", "nosuch://b/x", "s3://b", "hdfs://x", "abfs://x", "memory://"):
        yield Case(("scan", url), url)
    for command in ("run", "advise", "first"):
        yield Case((command, "refuses.keras", "x.npy"), "fails on this data: The total size")
        yield Case((command, "embedding.keras", "index.npy"), "[0,0] = 5 is not in [0, 5)")
    yield Case(("scan", "empty"), "empty")
    yield Case(("scan", "nowhere"), "nowhere")
    yield Case(("scan", "alone", "--scheduler", "nonsense"), "nonsense")
    yield Case(("scan", "alone", "--scheduler", "tcp://127.0.0.1:1"), "127.0.0.1:1")
    yield Case(("scan", "alone", "--out", "run"), "run")
    for path in ("nowhere", "empty", "x.npy", "m.keras", ""):
        for command in (
            ("report",),
            ("export", "-o", "tables"),
            ("check", "--budget", "budget.toml"),
        ):
            yield Case((*command, path), "")
        if path != "m.keras":
            yield Case(("run", path, "x.npy"), "")
        if path != "x.npy":
            yield Case(("run", "m.keras", path), "")
    for file in ("x.npy/x.json", "."):
        yield Case(("report", "run", "--quiet", "--json", file), "")
        yield Case(("count", "m.keras", "--quiet", "--json", file), "")
    yield Case(("report", "run", "--quiet", "--csv", "x.npy"), "x.npy")
    yield Case(("run", "m.keras", "x.npy", "--out", "x.npy"), "x.npy")
    yield Case(("fold", "m.keras", "-o", "folded.txt"), "folded.txt")
    yield Case(("fold", "m.keras", "-o", "x.npy/f.keras"), "x.npy")


def _paths() -> Iterator[Case]:
    """Names that no file can have, as each argument and option that takes a path."""
    run = ("run", "m.keras", "x.npy")
    for path in ("a" * 300, "a/" * 2500 + "b", "loop", "m.keras/b"):
        for command in (
            ("run", path, "x.npy"),
            ("run", "m.keras", path),
            (*run, "--out", path),
            (*run, "--json", path),
            (*run, "--csv", path),
            (*run, "--html", path),
            ("report", path),
            ("report", "run", "--json", path),
            ("report", "run", "--model", path),
            ("export", path, "-o", "tables"),
            ("export", "run", "-o", path),
            ("scan", path),
            ("scan", "alone", "--out", path),
            ("scan", "alone", "--html", path),
            ("view", path),
            *(("export", "run", "-o", path, "--format", name) for name in ("json", "perfetto")),
            ("compare", "m.keras", "m.h5", "x.npy", "--html", path),
            ("fold", "m.keras", "-o", "folded.keras", "--html", path),
            ("run", "m.h5", "x.npy", "--model-module", path),
            (*run[:2], "--data-module", path),
            ("count", path),
            ("count", "m.keras", "--json", path),
            ("estimate", path),
            ("check", path, "--budget", "budget.toml"),
            ("check", "run", "--budget", path),
            ("fold", path, "-o", "folded.keras"),
            ("fold", "m.keras", "-o", f"{path}/f.keras"),
            ("fold", "m.keras", "-o", "folded.keras", "--data", path),
            ("compare", path, "run"),
            ("compare", "m.keras", path, "x.npy"),
            ("compare", "m.keras", "m.h5", path),
            ("advise", path, "x.npy"),
            ("advise", "m.keras", path),
            ("advise", "m.keras", "x.npy", "--script", path),
        ):
            yield Case(command, path[:40])


def _header(text: str, version: int = 1) -> bytes:
    body = text.encode("latin1")
    return b"\x93NUMPY" + bytes((version, 0)) + struct.pack("<H", len(body)) + body


def _npy(shape: str, descr: str = "'<f4'", data: bytes = b"\0" * 128, **more: Any) -> bytes:
    order = more.get("order", "False")
    return _header(f"{{'descr': {descr}, 'fortran_order': {order}, 'shape': {shape}, }}\n") + data


def _data() -> Iterator[tuple[str, bytes | None]]:
    whole = io.BytesIO()
    np.save(whole, np.zeros((8, 4), "float32"))
    yield "empty.npy", b""
    yield "folder.npy", None
    yield "text.npy", b"1,2,3\n"
    yield "magic.npy", b"\x93NUMPY"
    yield "cut_head.npy", whole.getvalue()[:40]
    yield "cut_data.npy", whole.getvalue()[:-1]
    for name, shape in {
        "negative": "(-8, 4)",
        "negative_both": "(-1, -32)",
        "overflow": f"({2**40}, {2**40})",
        "terabytes": f"({2**40}, 4)",
        "beyond": f"({10**30}, 4)",
        "fraction": "(8.5, 4)",
        "text": "('8', 4)",
        "number": "8",
        "list": "[8, 4]",
        "true": "(True, 4)",
        "none": "None",
        "no_samples": "(0, 4)",
        "scalar": "()",
        "deep": "(" + "1, " * 70 + ")",
        "wide": "(8, 5)",
        "flat": "(32,)",
    }.items():
        yield f"shape_{name}.npy", _npy(shape)
    for name, descr in {
        "object": "'|O'",
        "float128": "'<f16'",
        "complex": "'<c8'",
        "unknown": "'<q4'",
        "date": "'<M8[s]'",
        "text": "'<U4'",
        "void": "'|V4'",
        "record": "[('a', '<f4'), ('b', '<f4')]",
        "zero": "'<f0'",
        "number": "4",
        "nested": "[('a', [('b', '<f4')])]",
    }.items():
        yield f"type_{name}.npy", _npy("(8, 4)", descr, b"\0" * 1024)
    yield "order.npy", _npy("(8, 4)", order="2")
    yield "code.npy", _header("__import__('os').abort()\n")
    yield "not_closed.npy", _header("{'descr': '<f4'")
    yield "nested.npy", _header("(" * 5000)
    yield "bytes.npy", _header("\xff\xfe\0\n")
    yield "version.npy", _header("{}", 9)
    yield "keys.npy", _header("{'a': 1}\n")
    zipped = io.BytesIO()
    np.savez_compressed(zipped, x=np.arange(4000, dtype="float32").reshape(1000, 4))
    good = bytearray(zipped.getvalue())
    yield "empty.npz", b"PK\x05\x06" + b"\0" * 18
    yield "cut.npz", bytes(good[:-30])
    yield "start.npz", b"PK\x03\x04"
    damaged = bytearray(good)
    damaged[120:140] = b"\xff" * 20
    yield "zlib.npz", bytes(damaged)
    sums = bytearray(good)
    sums[14:18] = b"\0\0\0\0"
    central = sums.rindex(b"PK\x01\x02")
    sums[central + 16 : central + 20] = b"\0\0\0\0"
    yield "checksum.npz", bytes(sums)
    for name, at, value in (("method", 10, b"\x63\0"), ("encrypted", 8, b"\1\0")):
        changed = bytearray(good)
        changed[at - 2 : at] = value
        central = changed.rindex(b"PK\x01\x02")
        changed[central + at : central + at + 2] = value
        changed[at : at + len(value)] = value if name == "method" else changed[at : at + 2]
        yield f"{name}.npz", bytes(changed)
    yield "text.npz", _zip({"x.npy": b"nothing", "y.txt": b"nothing"})
    yield "inner.npz", _zip({"x.npy": _npy("(-1, 4)")})
    yield "bomb.npz", _zip({"x.npy": _npy(f"({2**38}, 4)")})
    yield "names.npz", _zip({"a.npy": whole.getvalue(), "b.npy": whole.getvalue()})


def _zip(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        for name, content in files.items():
            file.writestr(name, content)
    return buffer.getvalue()


def _models(folder: Path) -> Iterator[tuple[str, bytes | None]]:
    keras_file, h5_file = (folder / "m.keras").read_bytes(), (folder / "m.h5").read_bytes()
    with zipfile.ZipFile(folder / "m.keras") as file:
        parts = {name: file.read(name) for name in file.namelist()}
    yield "folder.keras", None
    yield "empty.keras", b""
    yield "empty.h5", b""
    yield "text.keras", b"hello"
    yield "text.h5", b"hello"
    yield "hdf.h5", b"\x89HDF\r\n\x1a\n"
    for part in (20, 4, 2):
        yield f"cut{part}.keras", keras_file[: len(keras_file) // part]
        yield f"cut{part}.h5", h5_file[: len(h5_file) // part]
    config = json.loads(parts["config.json"])
    for name, content in {
        "none": None,
        "empty": b"",
        "text": b"hello",
        "null": b"null",
        "list": b"[]",
        "number": b"5",
        "object": b"{}",
        "deep": b"[" * 100_000,
        "utf": b"\xff\xfe",
        "no_class": json.dumps({**config, "class_name": None}).encode(),
        "unknown": parts["config.json"].replace(b'"Dense"', b'"Nonsense"'),
        "units": parts["config.json"].replace(b'"units": 3', b'"units": -3'),
        "units_text": parts["config.json"].replace(b'"units": 3', b'"units": "x"'),
        "shape": parts["config.json"].replace(b"[null, 4]", b"[null, -4]"),
        "lone": parts["config.json"].replace(b'"Dense"', b'"\\ud800"'),
    }.items():
        changed = {k: v for k, v in parts.items() if k != "config.json"}
        if content is not None:
            changed["config.json"] = content
        yield f"config_{name}.keras", _zip(changed)
    yield "weights_none.keras", _zip({k: v for k, v in parts.items() if "weights" not in k})
    yield "weights_text.keras", _zip({**parts, "model.weights.h5": b"hello"})
    yield "config.json", parts["config.json"]
    yield "data.keras", _zip({"x.npy": b""})
    damaged = bytearray(h5_file)
    at = damaged.index(b'"class_name"')
    damaged[at : at + 12] = b"\xff" * 12
    yield "config_bytes.h5", bytes(damaged)
    yield "config_class.h5", h5_file.replace(b'"Dense"', b'"Dexse"')


def _budgets() -> Iterator[tuple[str, bytes | None]]:
    yield "folder.toml", None
    for number, text in enumerate(
        (
            *(
                "",
                "a =",
                "[latency]",
                "latency = 5",
                "[[latency]]\nmedian_ms = 5",
                "[latancy]\na=1",
            ),
            *("[latency]\nmedian = 5", "[latency]\nmedian_ms = '5'", "[latency]\nmedian_ms = nan"),
            *("[layer]\nmax_ms = 5", "[[layer]]\npath = 'x'", "[[layer]]\nmax_ms = true"),
            *("[[layer]]\npath = 5\nmax_ms = 5", "[[layer]]\npath = 'no'\nmax_ms = 5"),
            *("[counts]\nmults = []", "[counts]\nmults = {}", "[wall]\nnonsense = 0.5"),
            *("[wall]\nlayers = '1'", "wall = 1", "layer = [1]", "x = " + "[" * 5000),
            *("[latency]\nrelative = 1", "[latency]\nmedian_ms = 1979-05-27", "\0"),
        )
    ):
        yield f"{number}.toml", text.encode()
    yield "bytes.toml", b"\xff\xfe"


def _manifests() -> Iterator[tuple[str, bytes | None]]:
    good = json.loads(next(RUN.glob("*.json")).read_text())
    yield "folder", None
    yield from {
        "empty": b"",
        "null": b"null",
        "list": b"[]",
        "text": b'"x"',
        "schema": b'{"schema": 1}',
        "schema_true": json.dumps(good | {"schema": True}).encode(),
        "schema_later": json.dumps(good | {"schema": 2}).encode(),
        "deep": b"[" * 100_000,
        "deep_inside": json.dumps(good)[:-1].encode() + b', "x": ' + b"[" * 100_000,
        "cut": json.dumps(good)[:-1].encode(),
        "twice": json.dumps(good).encode() * 2,
        "utf16": json.dumps(good).encode("utf-16"),
        "bytes": b"\xff" * 100,
        "nan": json.dumps(good | {"latency": {"median_ms": float("nan")}}).encode(),
    }.items()
    for key in ("model", "run", "latency", "counting", "sites", "functions"):
        yield f"no_{key}", json.dumps({k: v for k, v in good.items() if k != key}).encode()
        for word, value in (("null", None), ("text", "x"), ("number", 10**20), ("list", [[]])):
            yield f"{key}_{word}", json.dumps(good | {key: value}).encode()
    yield "samples", json.dumps(good | {"run": good["run"] | {"samples": -1}}).encode()
    yield "roofs", json.dumps(good | {"roofs": {}}).encode()


def _traces() -> Iterator[tuple[str, bytes | None]]:
    good = next(RUN.glob("*.pb")).read_bytes()
    yield "folder", None
    yield "empty", b""
    yield "text", b"hello, this is no trace"
    yield "json", b'{"traceEvents": []}'
    yield "gz", gzip.compress(good)
    yield "zlib", zlib.compress(good)
    yield "cut", good[: len(good) // 2]
    yield "cut_end", good[:-1]
    yield "zeros", b"\0" * 1000
    yield "ones", b"\xff" * 1000
    yield "plane", b"\x0a\x00"
    yield "host", b"\x0a\x0b\x12\x09/host:CPU"
    yield "other", good.replace(b"/host:CPU", b"/xxxx:CPU")


@dataclass(frozen=True)
class Outcome:
    """What the command line answered."""

    code: int
    out: str
    err: str
    written: tuple[str, ...]


def answer(arguments: tuple[str, ...], folder: Path) -> Outcome:
    """Run the command line in this process, in that folder."""
    from tftrace.cli import main

    before = _listing(folder)
    out, err = io.StringIO(), io.StringIO()
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    log, argv, cwd, path = logging.getLogger("tftrace"), sys.argv, os.getcwd(), list(sys.path)
    os.chdir(folder)
    sys.argv = ["tftrace", *arguments]
    code: Any = 0
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            try:
                main()
            except SystemExit as left:
                code = left.code
            except BaseException:
                traceback.print_exc()
                code = 1
    finally:
        os.chdir(cwd)
        sys.argv, sys.path[:] = argv, path
        for handler in list(log.handlers):
            log.removeHandler(handler)
        for number, handler in handlers.items():
            signal.signal(number, handler)
    written = tuple(sorted(_listing(folder) - before))
    for name in written:
        made = folder / name
        shutil.rmtree(made) if made.is_dir() else made.unlink(missing_ok=True)
    return Outcome(int(code or 0), out.getvalue(), err.getvalue(), written)


def _listing(folder: Path) -> set[str]:
    found = (str(p.relative_to(folder)) for p in folder.rglob("*"))
    return {name for name in found if "__pycache__" not in name}


def shortcomings(case: Case, outcome: Outcome) -> list[str]:
    """What of the promise was not kept."""
    lines = without_stages(outcome.err).strip("\n").split("\n")
    checks = {
        f"exit code {outcome.code}": outcome.code == 2,
        "a traceback": "Traceback" not in outcome.err,
        f"{len(lines)} lines": len(lines) == 1,
        "not by tftrace": lines[-1].startswith("tftrace: "),
        f"not named: {case.words}": case.words in outcome.err,
        "output": not outcome.out,
        f"written: {', '.join(outcome.written)}": not outcome.written,
    }
    return [fault for fault, kept in checks.items() if not kept]


def main(wanted: str) -> int:
    """Try all whose name has the word; print what falls short, and how many there were."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        make_files(folder)
        table = [case for case in cases(folder) if wanted in case.name]
        short = 0
        for case in table:
            outcome = answer(case.arguments, folder)
            faults = shortcomings(case, outcome)
            short += bool(faults)
            if faults:
                print(
                    f"{case.name[:150]}: {'; '.join(faults)}\n    {outcome.err[-400:]}", flush=True
                )
        print(f"{len(table)} bad inputs, {short} fell short")
    return short


if __name__ == "__main__":
    sys.exit(bool(main(sys.argv[1] if len(sys.argv) > 1 else "")))
