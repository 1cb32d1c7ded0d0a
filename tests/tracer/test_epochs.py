"""The clock of ``fit``: each nanosecond is of one part of one epoch. By hand, with a clock that
counts; then around Keras, with callbacks that take a known time at least."""

import threading
import time
from collections import Counter
from types import SimpleNamespace

import keras
import networks
import pytest
import tensorflow as tf

import tftrace
from tftrace.runs.epochs import OF_CALLER
from tftrace.text import ms_text
from tftrace.tracer import epochs, fit_clock
from tftrace.tracer.epochs import CALLBACK_LIST, HOOKS
from tftrace.tracer.fit_clock import FitClock

STEPS = "train steps"


class Hand:
    """A fit by hand: time passes only where ``spend`` says so, in ns."""

    def __init__(self, monkeypatch, *callbacks):
        self.now = 0
        monkeypatch.setattr(fit_clock, "time", SimpleNamespace(perf_counter_ns=lambda: self.now))
        self.clock = FitClock()
        self.list = SimpleNamespace(callbacks=list(callbacks))

    def spend(self, ns):
        self.now += ns

    def hook(self, name, *args, own=0):
        """The list's hook: ``own`` by itself, then each callback's."""

        def run():
            self.spend(own)
            for callback in self.list.callbacks:
                callback(name)

        self.clock.hook(self.list, name, args, run)

    def step(self, ns):
        self.hook("on_train_batch_begin", 0)
        self.spend(ns)
        self.hook("on_train_batch_end", 0)

    def found(self):
        self.clock.stop()
        return {(p.epoch, p.part): p for p in self.clock.epochs(OF_CALLER).parts}


class First:
    def __init__(self, hand, ns):
        self.hand, self.ns = hand, ns

    def __call__(self, name):
        if name == "on_epoch_end":
            self.hand().spend(self.ns)


def two_epochs(hand):
    hand.spend(1_000)  # before
    hand.hook("on_train_begin", own=3)
    for epoch in (4, 5):
        hand.spend(10)  # metrics are reset
        hand.hook("on_epoch_begin", epoch)
        hand.spend(20)  # the iterator is made
        hand.step(100 + epoch)
        hand.spend(30)
        hand.step(200)
        hand.spend(40)
        hand.hook("on_train_batch_begin", 2)  # and there is no more data
        hand.spend(50)
        with hand.clock.validating():
            hand.spend(500)
            hand.hook("on_test_begin", own=7)
        hand.spend(60)
        hand.hook("on_epoch_end", epoch)
    hand.spend(5_000)  # after
    hand.hook("on_train_end")


def test_every_nanosecond_is_of_one_part(monkeypatch):
    box = []
    hand = Hand(monkeypatch, First(lambda: box[0], 2_000), First(lambda: box[0], 3_000))
    box.append(hand)
    two_epochs(hand)
    found = hand.found()
    spent = {key: part.ns for key, part in found.items() if part.ns}
    each = {
        "validation": 500, "First": 2_000, "First#2": 3_000, "CallbackList": 7,
        "before the first step": 20, "between steps": 30 + 40, "after the last step": 50 + 60,
    }  # fmt: skip
    assert spent == {
        (None, "before the first epoch"): 1_010,
        (None, "CallbackList"): 3,
        **{(4, part): ns for part, ns in (each | {STEPS: 304}).items()},
        **{
            (5, part): ns for part, ns in (each | {STEPS: 305, "before the first step": 30}).items()
        },
        (None, "after the last epoch"): 5_000,
    }
    assert sum(spent.values()) == hand.now
    steps = found[4, STEPS]
    assert (steps.calls, steps.first_ns, steps.median_ns) == (2, 104, 152)
    assert found[4, "validation"].calls == 1


def test_what_a_callback_calls_is_the_callback_s(monkeypatch):
    box = []

    class Nested:
        def __call__(self, name):
            if name == "on_epoch_end":
                hand, other = box[0], SimpleNamespace(callbacks=[])
                with hand.clock.validating():
                    hand.clock.hook(other, "on_epoch_begin", (0,), lambda: hand.spend(70))

    hand = Hand(monkeypatch, Nested())
    box.append(hand)
    hand.hook("on_epoch_begin", 0)
    hand.step(5)
    hand.hook("on_epoch_end", 0)
    spent = {key: part.ns for key, part in hand.found().items() if part.ns}
    assert spent == {(0, STEPS): 5, (0, "Nested"): 70}


def test_other_threads_are_not_listened_to(monkeypatch):
    hand = Hand(monkeypatch)
    hand.list.callbacks.append(lambda name: hand.spend(9))
    hand.hook("on_epoch_begin", 0)  # 9 here

    def elsewhere():
        assert [callback("on_train_batch_end") for callback in hand.list.callbacks] == [None]
        hand.hook("on_epoch_end", 0)

    thread = threading.Thread(target=elsewhere)
    thread.start()
    thread.join()
    found = hand.found()
    assert (found[0, "function"].ns, found[0, "function"].calls) == (9, 1)
    assert found[0, "before the first step"].ns == 18


# --- around Keras


def built(**compiled):
    keras.utils.set_random_seed(5)
    layers = keras.layers
    model = keras.Sequential([keras.Input((8,)), layers.Dense(4), layers.Dense(1)], name="net")
    model.compile("adam", "mse", **compiled)
    return model, networks.normal(70, 8), networks.normal(70, 1)


class Sleeps(keras.callbacks.Callback):
    def on_epoch_end(self, epoch, logs=None):
        time.sleep(0.05)

    def on_train_batch_end(self, batch, logs=None):
        time.sleep(0.01)


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """Three epochs of three steps, with validation after every second, and the time of it all."""
    folder = tmp_path_factory.mktemp("runs")
    before = {name: vars(CALLBACK_LIST)[name] for name in HOOKS}
    model, x, y = built()
    callbacks = [Sleeps(), Sleeps(), keras.callbacks.ModelCheckpoint(folder / "model.keras")]
    with tftrace.trace(folder) as tracing:
        begin = time.perf_counter()
        model.fit(
            *(x, y), initial_epoch=2, epochs=5, validation_data=(x[:10], y[:10]),
            validation_freq=2, callbacks=callbacks, verbose=0,
        )  # fmt: skip
        end = time.perf_counter()
        whole = (end - begin) * 1e3
    assert {name: vars(CALLBACK_LIST)[name] for name in HOOKS} == before
    (profile,) = tracing.profiles
    return profile, tracing, whole


def test_parts_of_a_fit_by_name(found):
    profile, tracing, _ = found
    table = profile.epochs
    assert profile.epochs_of == "the caller's fit"
    assert list(table["epoch"].dropna().unique()) == [2, 3, 4]
    steps = table[table["part"] == STEPS].set_index("epoch")
    assert steps["calls"].to_dict() == {2: 3, 3: 3, 4: 3}
    assert steps["median_ms"].gt(0).all()
    # Counted from 1, epochs 4 is the second: Keras validates after those whose number is even.
    assert list(table.loc[table["part"] == "validation", "epoch"]) == [3]
    parts = set(table["part"])
    assert {"Sleeps", "Sleeps#2", "ModelCheckpoint", "History", "CallbackList"} <= parts
    assert "ProgbarLogger" not in parts  # verbose=0
    slept = table[table["part"].isin(["Sleeps", "Sleeps#2"])].dropna(subset="epoch")
    assert slept["wall_ms"].ge(50 + 3 * 10).all()
    assert len(tracing.epochs) == 1
    assert tracing.epochs[0].equals(table)


def test_the_parts_are_the_whole(found):
    profile, _, whole = found
    total = profile.epochs["wall_ms"].sum()
    # What is outside of the clock: the call of fit as trace() replaces it, and its own run after.
    assert total <= whole
    assert total >= 2 * 3 * 80
    assert (profile.epochs["wall_ms"] >= 0).all()


def test_the_report_and_the_page_tell_of_the_epochs(found, tmp_path):
    from tftrace.report.html.run import write_html

    profile, *_ = found
    text = str(profile)
    assert "epochs: 3 (the caller's fit)" in text
    assert "ModelCheckpoint" in text
    told = " ".join(text.split())
    last = profile.epochs[profile.epochs["epoch"] == 4]
    whole, steps = last["wall_ms"].sum(), last.loc[last["part"] == STEPS, "wall_ms"].iloc[0]
    assert f"the last epoch, {ms_text(whole)} ms: 3 steps of" in told
    assert f"{ms_text(steps)} ms together) and {ms_text(whole - steps)} ms around them" in told
    write_html(profile, tmp_path / "page.html")
    assert "Epochs: the caller&#39;s fit" in (tmp_path / "page.html").read_text()
    assert "epochs" in profile.table_names


def test_batches_of_unknown_number_are_timed_and_the_last_try_is_no_step(tmp_path):
    model, x, y = built()
    data = tf.data.Dataset.from_generator(
        lambda: iter([(x[:32], y[:32]), (x[32:64], y[32:64])]),
        output_signature=(tf.TensorSpec((None, 8)), tf.TensorSpec((None, 1))),
    )
    with tftrace.trace(tmp_path) as tracing:
        model.fit(data, epochs=2, verbose=0)
    (table,) = tracing.epochs
    steps = table[table["part"] == STEPS]
    assert list(steps["calls"]) == [2, 2]
    assert tracing.profile.steps["samples"].tolist() == [32, 32]


def test_several_steps_of_one_call_are_told(tmp_path):
    model, x, y = built(steps_per_execution=2)
    with (
        tftrace.trace(tmp_path) as tracing,
        pytest.warns(tftrace.TftraceWarning, match="steps_per_execution=1"),
    ):
        model.fit(x[:64], y[:64], batch_size=16, verbose=0)
    table = tracing.epochs[0]
    steps = table[table["part"] == STEPS]
    assert list(steps["calls"]) == [2]
    assert list(steps["note"]) == ["train steps by the call: each runs up to 2 of them"]


def test_a_list_of_the_caller_s_own_is_given_back(tmp_path):
    model, x, y = built()
    given = keras.callbacks.CallbackList([Sleeps()], model=model, add_history=True)
    own = given.callbacks
    with tftrace.trace(tmp_path) as tracing:
        model.fit(x, y, callbacks=given, verbose=0)
    assert given.callbacks is own
    assert Counter(tracing.profile.epochs["part"])["Sleeps"] == 2  # in the epoch, and outside


def test_fits_on_two_threads_are_each_timed(tmp_path):
    """The second begins and ends while the first one runs."""
    first, x, y = built()
    second, *_ = built()

    class FitsElsewhere(keras.callbacks.Callback):
        def on_train_end(self, logs=None):
            other = threading.Thread(target=second.fit, args=(x, y), kwargs={"verbose": 0})
            other.start()
            other.join()

    with tftrace.trace(tmp_path) as tracing:
        first.fit(x, y, epochs=2, callbacks=[FitsElsewhere()], verbose=0)
    epochs_seen = [list(table["epoch"].dropna().unique()) for table in tracing.epochs]
    assert epochs_seen == [[0], [0, 1]]
    assert ["FitsElsewhere" in set(table["part"]) for table in tracing.epochs] == [False, True]
    assert (len(tracing.profiles), tracing.untraced) == (2, [])
    assert epochs._CLOCKS == {}


class Fails(keras.callbacks.Callback):
    def on_train_batch_end(self, batch, logs=None):
        raise KeyboardInterrupt


def test_a_fit_that_is_interrupted_leaves_nothing_behind(tmp_path):
    model, x, y = built()
    given = keras.callbacks.CallbackList([Fails()], model=model)
    own = given.callbacks
    with tftrace.trace(tmp_path) as tracing, pytest.raises(KeyboardInterrupt):
        model.fit(x, y, callbacks=given, verbose=0)
    assert given.callbacks is own
    assert epochs._CLOCKS == {}
    assert (tracing.epochs, tracing.profiles) == ([], [])
    model.fit(x, y, callbacks=[], verbose=0)


class Validates(keras.Model):
    """An evaluate of its own, that Keras's does not see."""

    def __init__(self):
        super().__init__(name="own")
        self.dense = keras.layers.Dense(1)

    def call(self, x):
        return self.dense(x)

    def evaluate(self, *args, callbacks=None, **more):
        callbacks.on_test_begin()
        time.sleep(0.03)
        callbacks.on_test_end()
        return {"loss": 0.0}


def test_a_validation_of_the_model_s_own_is_known_by_its_hooks(tmp_path):
    _, x, y = built()
    model = Validates()
    model.compile("adam", "mse")
    with tftrace.trace(tmp_path) as tracing:
        model.fit(x, y, validation_data=(x, y), verbose=0)
    table = tracing.epochs[0].set_index(["epoch", "part"])
    assert table.loc[(0, "validation"), "wall_ms"] >= 30


def test_untraced_passes_are_epochs_of_their_own():
    model, x, y = built()
    profile = tftrace.profile(model, x, y, phase="fit", repeats=2, calibrate=False)
    assert profile.epochs_of == "untraced passes"
    table = profile.epochs
    assert list(table["epoch"].dropna().unique()) == [0, 1]
    assert table.loc[table["part"] == STEPS, "calls"].to_list() == [3, 3]
    assert table["wall_ms"].sum() <= sum(profile.latency["all_ms"])
    outside = table[table["epoch"].isna()]
    assert outside["part"].is_unique


def test_a_fit_without_hooks_has_a_reason(tmp_path):
    tf_keras = pytest.importorskip("tf_keras")
    model = tf_keras.Sequential([tf_keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    with (
        tftrace.trace(tmp_path) as tracing,
        pytest.warns(tftrace.TftraceWarning, match="in Keras 3 only"),
    ):
        model.fit(networks.normal(40, 8), networks.normal(40, 1), verbose=0)
    (table,) = tracing.epochs
    assert table["wall_ms"].isna().all()
    assert table["note"].str.contains("no hooks of callbacks of Keras 3").all()


def test_without_a_timed_pass_there_is_a_reason():
    model, x, y = built()
    profile = tftrace.profile(model, x, y, phase="fit", repeats=0, calibrate=False)
    assert list(profile.epochs["note"]) == ["no pass was timed without the profiler"]
    assert profile.epochs["wall_ms"].isna().all()
    assert "epochs: no pass was timed" in str(profile)
    evaluated = tftrace.profile(model, x, y, phase="evaluate", repeats=0, calibrate=False)
    assert (len(evaluated.epochs), evaluated.epochs_of) == (0, None)
