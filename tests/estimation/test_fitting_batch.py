"""The largest batch that fits: along lines made by hand, and of a network."""

import json

import keras
import pytest
from typer.testing import CliRunner

import tftrace
from tftrace.cli import app
from tftrace.commands.shared import bytes_of
from tftrace.counts.memory import Memory
from tftrace.errors import TftraceError
from tftrace.estimation.fitting_batch import MOST_SAMPLES, find_fitting

MIB = 1 << 20


def taking(bytes_at, asked=None):
    def at(batch):
        if asked is not None:
            asked.append(batch)
        size = bytes_at(batch)
        return Memory(batch, 0, 0, size, 0, (), "computed", None if size else "its shape is open")

    return at


@pytest.mark.parametrize(
    ("bytes_at", "limit", "batch"),
    [
        (lambda n: 100 + 7 * n, 1000, 128),  # 100 + 896 = 996
        (lambda n: 100 + 7 * n, 996, 128),
        (lambda n: 100 + 7 * n, 995, 127),
        (lambda n: 100 + 7 * n, 107, 1),
        (lambda n: 100 + 7 * n, 106, 0),
        (lambda n: n * n, 10_000, 100),
        (lambda n: 5 * n + 1000 * (n // 64), 1_000_000, 48_511),  # 757 x 1,320 + 63 x 5
        (lambda n: 64 * -(-n // 64), 1_000, 960),  # rises in steps
    ],
)
def test_one_sample_more_does_not_fit(bytes_at, limit, batch):
    asked = []
    found = find_fitting(taking(bytes_at, asked), limit)
    assert found.batch == batch
    assert [m.batch for m in found.memories] == [n for n in (batch, batch + 1) if n]
    assert bytes_at(batch + 1) > limit >= (bytes_at(batch) if batch else 0)
    assert len(asked) == len(set(asked)) < 40


def test_a_line_is_followed_in_a_few_steps():
    asked = []
    assert find_fitting(taking(lambda n: 12_345 + 678 * n, asked), 10**9).batch == 1_474_908
    assert len(asked) <= 5


def test_what_always_fits_is_seen_at_once():
    asked = []
    assert find_fitting(taking(lambda n: 100 + 7 * n, asked), 10**12).batch == MOST_SAMPLES
    assert asked == [1, 2, MOST_SAMPLES]


def test_what_always_fits_and_what_is_unknown():
    assert find_fitting(taking(lambda n: 5), 10).batch == MOST_SAMPLES
    unknown = find_fitting(taking(lambda n: None if n > 1 else 5), 10**9)
    assert unknown.batch is None
    assert unknown.memories[0].note == "its shape is open"


@pytest.mark.parametrize(
    ("text", "size"),
    [("8GiB", 8 << 30), ("500MB", 500_000_000), ("1.5 kib", 1536), ("4096", 4096), ("7B", 7)],
)
def test_sizes_in_words(text, size):
    assert bytes_of(text) == size


@pytest.mark.parametrize(
    "text", ["", "much", "-1GB", "8iB", "8 G B", "1e9", "0", "0.0GiB", "9" * 400]
)
def test_what_is_no_size_is_refused(text):
    with pytest.raises(TftraceError, match="8GiB"):
        bytes_of(text)


def test_on_the_command_line(tmp_path):
    """4 MiB and 4 KiB of weights, then 4 KiB in and 4 KiB out per sample."""
    path = tmp_path / "m.keras"
    keras.Sequential([keras.Input((1024,)), keras.layers.Dense(1024)]).save(path)
    words = ["estimate", str(path), "--fits", "5MiB", "--json", str(tmp_path / "f.json")]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.output
    constants = tftrace.count(keras.models.load_model(path)).memory.constants_bytes
    expected = (MIB - 4096 - constants) // 8192
    found = json.loads((tmp_path / "f.json").read_text())
    assert found["batch"] == expected
    assert found["limit_bytes"] == 5 * MIB
    assert [m["batch"] for m in found["memory"]] == [expected, expected + 1]
    assert found["memory"][0]["total_bytes"] <= 5 * MIB < found["memory"][1]["total_bytes"]
    assert f"batches of up to {expected} samples fit in 5MiB (5.2 MB)" in done.output
    most = " ".join(CliRunner().invoke(app, [*words[:3], "1024TiB"]).output.split())
    assert "all batches fit in 1024TiB (1.1 PB), up to the 2,147,483,647 samples" in most
    assert "samples fit in 9MB\n" in CliRunner().invoke(app, [*words[:3], "9MB"]).output
    refused = CliRunner().invoke(app, [*words, "--check"])
    assert isinstance(refused.exception, TftraceError)
    assert "no batch fits" in CliRunner().invoke(app, [*words[:3], "1MB"]).output
