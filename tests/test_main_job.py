"""What the product promises, each promise held against an answer found another way."""

import gzip
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
import zipfile
from pathlib import Path
from urllib.parse import quote

import numpy as np
import pytest
from raw_trace import covered, executions, framework_op_stats, host_events, trace_of, window_ps

import tftrace
from tftrace.graph.kernel_types import KernelType, kernel_type

pytestmark = pytest.mark.kernels

APPLICATIONS = ["inception_v3", "mobilenet_v2", "resnet50"]
XPROF_ROWS = 490  # it lists about 500 and no more, the longest first
MODELS = [*APPLICATIONS, "mission", "branches", "recurrent"]


def by_name(profile):
    return profile.layers.drop_duplicates("name").set_index("name")


def kernels_of(profile, name):
    path = by_name(profile).loc[name, "path"]
    return profile.ops[profile.ops["layer"] == path]


# --- the network of the question


def test_multiplications_of_the_questions_network(run_of):
    layers = by_name(run_of("mission"))
    assert layers.loc["conv2d", "macs"] == 32 * 32 * 32 * 3 * 3 * 3 == 884_736
    assert layers.loc["batch_normalization", "mults"] == 32 * 32 * 32 == 32_768
    assert layers.loc["batch_normalization", "macs"] == 0
    assert layers.loc["dense", "macs"] == 32 * 32 * 32 * 43 == 1_409_024


def test_batch_norm_carries_its_multiplication_and_addition(run_of):
    kernels = kernels_of(run_of("mission"), "batch_normalization")
    whole = kernels[kernels["flops"] == 32_768]
    assert set(whole["op_type"]) == {"Mul", "AddV2"}
    assert (whole["calls"] == 3).all()
    # Each reads and writes the activation: 2 x 2 x 32,768 x 4 B, and a vector per batch.
    assert by_name(run_of("mission")).loc["batch_normalization", "bytes_executed"] == pytest.approx(
        4 * 32_768 * 4, rel=1e-3
    )


# --- the traps


def test_the_expensive_convolution_has_its_time_not_the_relu_nor_its_namesake(run_of):
    profile = run_of("misleading_names")
    totals: dict[str, int] = {}
    for event in host_events(trace_of(profile)):
        _, _, kind = event.name.rpartition(":")
        if kernel_type(kind) == KernelType(("Conv2D",), fused=True):
            totals[event.name] = totals.get(event.name, 0) + event.end - event.start
    # 48 x 48 x 5 x 5 x 4 x 160 against 48 x 48 x 4 x 4 multiplications: 1,000 to 1.
    fused, longest = max(totals.items(), key=lambda item: item[1])
    assert "re_lu" in fused  # what a match by name would say
    layers = by_name(profile)
    assert layers.loc["conv2d_1", "busy_ms"] == pytest.approx(longest / 1e9, rel=0.01)
    assert layers.loc["re_lu", "busy_ms"] < layers.loc["conv2d_1", "busy_ms"] / 100
    assert layers.loc["conv2d_1", "macs"] == 48 * 48 * 25 * 4 * 160
    assert layers.loc["conv2d", "macs"] == 48 * 48 * 4 * 4
    assert layers.loc["conv2d_1", "fused_with"] == [layers.loc["re_lu", "path"]]


def test_a_shared_layer_is_two_call_sites(run_of):
    layers = run_of("shared_dense").layers
    sites = layers[layers["name"] == "shared"]
    assert sites["path"].tolist() == ["sharing/shared", "sharing/shared#2"]
    assert sites["call"].tolist() == [1, 2]
    # Which one runs first is for Keras to say.
    rows = [shape[1] for shape in sites["output_shape"]]
    assert sorted(rows) == [8, 128]
    assert sites["macs"].tolist() == [n * 64 * 256 for n in rows]
    assert sites["params"].tolist() == [64 * 256 + 256, 0]
    assert (sites["calls"] > 0).all()


def test_layers_that_differ_in_an_attribute_alone_each_have_their_own_work(run_of):
    """16 x 16 positions x 8 filters x 3 x 3 x 4 macs, dilated or not."""
    profile = run_of("one_kernel_twice")
    for name in ("plain", "dilated"):
        assert by_name(profile).loc[name, "calls"] > 0
        assert kernels_of(profile, name)["macs"].sum() == 16 * 16 * 8 * 36


def test_branches_share_the_instants_they_share(run_of):
    profile = run_of("branches")
    busy, wall = profile.layers["busy_ms"].sum(), profile.layers["wall_ms"].sum()
    assert wall <= profile.wall["wall_ms"].sum()
    # Operations that overlap are busy at once but share the wall: no more than what they cover.
    assert profile.ops["wall_ms"].sum() == pytest.approx(
        covered(host_events(trace_of(profile))) / 1e9, rel=1e-6
    )
    assert wall <= busy * (1 + 1e-9)


# --- everything is accounted for


@pytest.mark.parametrize("name", MODELS)
def test_the_wall_closes(run_of, name):
    profile = run_of(name)
    length = window_ps(trace_of(profile)) / 1e9
    assert profile.wall["wall_ms"].sum() == pytest.approx(length, rel=1e-3)
    assert (profile.wall["wall_ms"] >= 0).all()
    assert profile.layers["wall_ms"].sum() <= length


@pytest.mark.parametrize("name", MODELS)
def test_every_event_is_on_a_layer_or_on_a_named_row(run_of, name):
    profile = run_of(name)
    raw = executions(host_events(trace_of(profile)))
    assert raw
    rows = profile.ops[profile.ops["calls"] > 0]
    shown = rows.groupby(["op", "op_type"])["calls"].sum().to_dict()
    assert {key: count for key, count in raw.items() if shown.get(key) != count} == {}
    assert rows["component"].notna().all()
    inside = rows[rows["component"] == "layers"]
    assert inside["layer"].isin(profile.layers["path"]).all()
    # What no layer made: the function's arguments and results, no work.
    outside = rows[rows["component"] == "model ops outside layers"]
    assert set(outside["op_type"]) <= {"_Arg", "_Retval", "Identity", "NoOp"}


@pytest.mark.parametrize("name", MODELS)
def test_totals_equal_xprofs(run_of, tmp_path, name):
    profile = run_of(name)
    theirs = framework_op_stats(trace_of(profile), tmp_path)
    operations = {k: v for k, v in theirs.items() if k[1] != "Dataset" or "::" not in k[0]}
    mine = profile.ops[profile.ops["calls"] > 0].groupby(["op", "op_type"])[["calls", "busy_ms"]]
    sums = mine.sum()
    mine_calls = sums["calls"].to_dict()
    if len(theirs) < XPROF_ROWS:
        assert operations.keys() == mine_calls.keys()
    assert {k: n for k, (n, *_) in operations.items()} == {k: mine_calls[k] for k in operations}
    for key, (_, total_us, _) in operations.items():
        assert sums.loc[key, "busy_ms"] * 1e3 == pytest.approx(total_us, rel=1e-3)


@pytest.mark.parametrize("name", APPLICATIONS)
def test_contractions_of_a_whole_network_are_on_their_own_layers(run_of, name):
    """Every kernel that contracts stands on a convolution or dense layer, and each has one."""
    profile = run_of(name)
    kernels = profile.ops[profile.ops["macs"].fillna(0) > 0].dropna(subset="layer")
    types = profile.layers.set_index("path")["type"]
    contracting = {"Conv2D", "DepthwiseConv2D", "Dense"}
    assert set(types[kernels["layer"]]) <= contracting
    wanted = types[types.isin(contracting)].index
    assert sorted(kernels["layer"]) == sorted(wanted)
    by_layer = kernels.set_index("layer")["macs"]
    assert by_layer.to_dict() == profile.layers.set_index("path").loc[wanted, "macs"].to_dict()


# --- TensorBoard


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def fetch(address: str):
    with urllib.request.urlopen(address, timeout=30) as answer:
        body = answer.read()
    # The plugin compresses its answers whether or not it was asked to.
    return json.loads(gzip.decompress(body) if body.startswith(b"\x1f\x8b") else body)


def fetched_until(address: str, ready, seconds: float = 90):
    """The answer at ``address`` once ``ready`` holds of it."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            answer = fetch(address)
            if ready(answer):
                return answer
        except (urllib.error.URLError, ConnectionError, ValueError):
            answer = None
        assert time.monotonic() < deadline, answer
        time.sleep(0.3)


@pytest.fixture
def tensorboard(run_of, tmp_path):
    """A server over a copy of a run; yields its address."""
    folder = run_of("mission").save(tmp_path)
    port = free_port()
    command = [sys.executable, "-m", "tensorboard.main", "--logdir", str(tmp_path)]
    with (tmp_path / "log").open("w") as log:
        process = subprocess.Popen(
            [*command, "--host", "127.0.0.1", "--port", str(port)], stdout=log, stderr=log
        )
    try:
        yield f"http://127.0.0.1:{port}", folder.name
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            process.kill()


def test_tensorboards_profile_plugin_shows_the_operations(tensorboard, run_of):
    address, run = tensorboard
    runs = fetched_until(f"{address}/data/plugin/profile/runs", bool)
    assert runs == [run]
    query = f"run={quote(run)}&tag=framework_op_stats&host=vm"
    answer = fetched_until(f"{address}/data/plugin/profile/data?{query}", lambda a: a[0]["rows"])
    shown = {row["c"][3]["v"] for row in answer[0]["rows"]}
    ops = run_of("mission").ops
    assert set(ops[ops["calls"] > 0]["op"]) <= shown


# --- a real model from outside


@pytest.mark.network
def test_a_legacy_model_from_a_wheel(tmp_path):
    """SpliceAI: saved by Keras 2, 32 batch norms, input (None, 4)."""
    import keras

    command = [sys.executable, "-m", "pip", "download", "--no-deps", "-q", "spliceai"]
    subprocess.run([*command, "-d", tmp_path], check=True, env=os.environ, timeout=300)
    (wheel,) = Path(tmp_path).glob("spliceai-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        member = next(n for n in archive.namelist() if n.endswith(".h5"))
        (tmp_path / "spliceai.h5").write_bytes(archive.read(member))
    bases = np.random.default_rng(0).integers(0, 4, (4, 10_200))
    np.save(tmp_path / "dna.npy", np.eye(4, dtype="float32")[bases])
    arguments = ["run", "spliceai.h5", "dna.npy", "--batch-size", "2", "--repeats", "1"]
    done = subprocess.run(
        [sys.executable, "-m", "tftrace", *arguments, "--no-calibrate", "--out", "runs"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr
    profile = tftrace.load(tmp_path / "runs")
    kinds = profile.layers["type"].value_counts()
    assert kinds["BatchNormalization"] == 32
    assert kinds["Conv1D"] == sum(
        isinstance(layer, keras.layers.Conv1D)
        for layer in keras.models.load_model(tmp_path / "spliceai.h5", compile=False).layers
    )
    raw = executions(host_events(trace_of(profile)))
    rows = profile.ops[profile.ops["calls"] > 0]
    assert sum(raw.values()) == rows["calls"].sum()
    assert profile.wall["wall_ms"].sum() == pytest.approx(
        window_ps(trace_of(profile)) / 1e9, rel=1e-3
    )
    outside = rows[rows["component"] == "model ops outside layers"]
    assert set(outside["op_type"]) <= {"_Arg", "_Retval"}
