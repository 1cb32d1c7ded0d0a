"""An interrupt at every line of what the tracer changes and puts back.

KeyboardInterrupt is raised at one line after another of every context manager of the tracer, and of
what they rest on, while ``profile`` and ``trace`` run. By default a few lines of each are tried;
``TFTRACE_SLOW=1`` tries all.
"""

import ast
import gc
import inspect
import linecache
import os
import pkgutil
import sys
import tempfile
from importlib import import_module
from pathlib import Path
from types import CodeType, FrameType

import keras
import pytest
import tensorflow as tf
from networks import BUILDERS

import tftrace
import tftrace.api.trace
import tftrace.files
import tftrace.stderr
import tftrace.tracer
import tftrace.undo
from tftrace.tracer import session
from tftrace.tracer.graphs.watching import call_classes
from tftrace.tracer.tf_private import profiler_is_open

ALL = os.environ.get("TFTRACE_SLOW") == "1"
TRIED = 7
"""Of each way to run, where not all lines are tried."""


def modules():
    names = [m.name for m in pkgutil.walk_packages(tftrace.tracer.__path__, "tftrace.tracer.")]
    own = [tftrace.undo, tftrace.stderr, tftrace.files, tftrace.api.trace]
    return [*own, *map(import_module, names)]


def codes_in(code: CodeType) -> set[CodeType]:
    inner = [codes_in(each) for each in code.co_consts if isinstance(each, CodeType)]
    return {code}.union(*inner)


def watched_codes() -> set[CodeType]:
    """Of every context manager, of the functions inside them, and of all of three modules."""
    found: set[CodeType] = set()
    for module in modules():
        whole = module in (tftrace.undo, tftrace.files, session)
        classes = [
            c
            for c in vars(module).values()
            if inspect.isclass(c) and c.__module__ == module.__name__
        ]
        members = [*vars(module).values(), *(m for c in classes for m in vars(c).values())]
        for member in members:
            plain = inspect.unwrap(member) if callable(member) else None
            if not inspect.isfunction(plain) or plain.__module__ != module.__name__:
                continue
            manager = plain is not member and inspect.isgeneratorfunction(plain)
            if whole or manager:
                found |= codes_in(plain.__code__)
    return found


CODES = watched_codes()


def heads_of_with() -> dict[str, set[int]]:
    """Lines of ``with`` before its block, by file."""
    heads: dict[str, set[int]] = {}
    for module in modules():
        tree = ast.parse(Path(module.__file__).read_text())
        heads[module.__file__] = {
            line
            for node in ast.walk(tree)
            if isinstance(node, ast.With)
            for line in range(node.lineno, node.body[0].lineno)
        }
    return heads


HEADS = heads_of_with()


def line_of(frame: FrameType) -> tuple[str, int]:
    return frame.f_code.co_filename, frame.f_lineno


class Interrupt:
    """Raise KeyboardInterrupt at the line number ``at`` of those that are passed."""

    def __init__(self, at: int | None) -> None:
        self.at = at
        self.passed: list[str] = []
        self._seen: set[tuple[int, int]] = set()
        self._frames: list[FrameType] = []  # keeps an id from being used again

    def __enter__(self):
        sys.settrace(self._call)
        return self

    def __exit__(self, *_):
        sys.settrace(None)
        self._frames.clear()

    def _call(self, frame, event, _):
        if frame.f_code not in CODES:
            return None
        self._frames.append(frame)
        return self._line

    def _line(self, frame, event, _):
        if event != "line":
            return self._line
        line = id(frame), frame.f_lineno
        if linecache.getline(*line_of(frame)).strip() == "try:":
            return self._line  # runs nothing, so that no signal is looked for
        again = line in self._seen and frame.f_lineno in HEADS[frame.f_code.co_filename]
        self._seen.add(line)
        if again:
            # A block ends: CPython looks for signals before the last call of the block returns
            # and after its lock is released, never between.
            return self._line
        self.passed.append(f"{Path(frame.f_code.co_filename).name}:{frame.f_lineno}")
        if len(self.passed) - 1 == self.at:
            self._frames.clear()
            sys.settrace(None)
            raise KeyboardInterrupt
        return self._line


def profile(model, data, out):
    tftrace.profile(model, data, repeats=0, warmup=0, calibrate=False, out=out)


def profile_unsaved(model, data, out):
    tftrace.profile(model, data, repeats=0, warmup=0, calibrate=False)


def trace(model, data, out):
    with tftrace.trace(out):
        model.predict(data, verbose=0)


WAYS = {way.__name__: way for way in (profile, profile_unsaved, trace)}


def state(model):
    names = ("predict_function", "_jit_compile", "stop_predicting", "predict_step")
    return [model.__dict__.get(name, "absent") for name in names]


def broken(model, before, out: Path) -> list[str]:
    """What is not as it was."""
    from tensorflow.python.eager import context

    found = []
    if tftrace.undo.MEASURING._lock.locked():
        return ["nobody gives the turn to the next"]
    if profiler_is_open():
        found.append("the profiler runs")
    if [cls.__dict__["__call__"] for cls in call_classes(model)] != before["calls"]:
        found.append("a class's __call__ is wrapped")
    if "predict" in keras.Model.__dict__:
        found.append("predict is wrapped")
    if state(model) != before["state"]:
        found.append("the model is not as it was")
    metadata = context.context().export_run_metadata()
    tf.function(lambda x: x + 1)(tf.constant(1))
    metadata = context.context().export_run_metadata()
    if metadata is not None and metadata.function_graphs:
        found.append("graphs are still collected")
    # A whole run may be there, nothing else.
    left = [p for p in out.rglob("*") if p.name.startswith(".tftrace-")]
    left += [p for p in out.glob("plugins/profile/*") if len(list(p.iterdir())) != 2]
    left += Path(tempfile.gettempdir()).glob("tftrace-*")
    found += [f"{path} is left" for path in left]
    return found


@pytest.mark.parametrize("way", WAYS)
def test_an_interrupt_at_a_line_leaves_nothing_changed(way, tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temp"))
    (tmp_path / "temp").mkdir()
    model, data = BUILDERS["small"]()
    run = WAYS[way]
    run(model, data, tmp_path / "first")  # compiles the loops
    gc.collect()
    before = {
        "calls": [cls.__dict__["__call__"] for cls in call_classes(model)],
        "state": state(model),
    }
    with Interrupt(None) as counted:
        run(model, data, tmp_path / "second")
    gc.collect()
    assert broken(model, before, tmp_path / "second") == []
    total = len(counted.passed)
    assert total > 100
    places = range(total) if ALL else range(3, total, total // TRIED)
    faults = {}
    for at in places:
        out = tmp_path / str(at)
        try:
            with Interrupt(at) as interrupt:
                run(model, data, out)
        except KeyboardInterrupt:
            pass
        else:
            faults[at] = ["swallowed"]
        gc.collect()
        where = f"{at}, {interrupt.passed[-1]}"
        if found := broken(model, before, out):
            faults[where] = found
            break
        try:
            profile(model, data, tmp_path / "next")
        except BaseException as error:
            faults[f"after {where}"] = [repr(error)]
            break
    print(f"{way}: {len(places)} of {total} lines")
    assert faults == {}


def test_the_harness_watches_every_context_manager_of_the_tracer():
    names = {code.co_name for code in CODES}
    assert {"record_calls", "collect_graphs", "borrowed", "profiler_session", "trace"} <= names
    assert {"put_back", "give_back", "discard", "_settle", "scratch_folder"} <= names
    assert tftrace.stderr.held_stderr.__wrapped__.__code__ in CODES


def test_ctrl_c_while_the_profiler_starts_or_stops(tmp_path, monkeypatch):
    """TensorFlow itself keeps a session that was interrupted there, for ever."""
    from tensorflow.python.profiler import profiler_v2

    model, data = BUILDERS["small"]()

    class Interrupted(profiler_v2._pywrap_profiler.ProfilerSession):
        def start(self, *arguments):
            super().start(*arguments)
            if moment == "start":
                raise KeyboardInterrupt

        def export_to_tb(self):
            if moment == "stop":
                raise KeyboardInterrupt
            super().export_to_tb()

    for moment in ("start", "stop"):  # noqa: B007, the class above reads it
        with monkeypatch.context() as patched:
            patched.setattr(profiler_v2._pywrap_profiler, "ProfilerSession", Interrupted)
            with pytest.raises(KeyboardInterrupt):
                profile(model, data, tmp_path)
        assert not profiler_is_open()
        profile(model, data, tmp_path)
    assert len(list(tmp_path.glob("plugins/profile/*"))) == 2


def test_profiles_in_two_threads_wait_for_each_other(tmp_path):
    from concurrent.futures import ThreadPoolExecutor

    models = [BUILDERS["small"]() for _ in range(3)]
    calls = [cls.__dict__["__call__"] for cls in call_classes(models[0][0])]
    with ThreadPoolExecutor(3) as pool:
        for done in [pool.submit(profile, model, data, tmp_path) for model, data in models]:
            done.result()
    assert [cls.__dict__["__call__"] for cls in call_classes(models[0][0])] == calls
    runs = [tftrace.load(run) for run in tmp_path.glob("plugins/profile/*")]
    assert [len(run.layers) for run in runs] == [3, 3, 3]


def test_a_second_thread_cannot_replace_predict_too(tmp_path):
    from concurrent.futures import ThreadPoolExecutor

    def second():
        with pytest.raises(tftrace.TftraceError, match="another thread"), tftrace.trace(tmp_path):
            pass

    model, data = BUILDERS["small"]()
    with tftrace.trace(tmp_path / "first") as tracing, ThreadPoolExecutor(1) as pool:
        pool.submit(second).result()
        model.predict(data, verbose=0)
        # A measurement of the block's own is not traced a second time.
        profile(model, data, tmp_path / "own")
    assert "predict" not in keras.Model.__dict__
    assert (len(tracing.profiles), tracing.untraced) == (1, [])
