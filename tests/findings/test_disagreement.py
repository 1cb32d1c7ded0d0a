"""Why layers take more of the time than of the multiplications, on runs made by hand."""

import keras
import numpy as np
import pytest
from runs_by_hand import kernel, layer, run

import tftrace
from tftrace.findings.basis.reasons import UNKNOWN
from tftrace.findings.disagreement import COLUMNS, disagreements, explained

# Half of the time and all but 1 % of the multiplications: nobody's disagreement.
DENSE = layer("m/dense", "Dense", 50, mults=9900, macs=9900)
PRODUCT = kernel("d", "MatMul", "m/dense", 50, macs=9900)


def one(ms, kernels, mults=100, steps=((0, 100, 90),), found=(), **columns):
    """The only row of a run in which a layer of so many ms stands beside ``DENSE``."""
    mine = layer("m/l", "Some", ms, mults=mults, **columns)
    table = disagreements(run([DENSE, mine], [PRODUCT, *kernels], steps=steps), found)
    assert list(table.columns) == list(COLUMNS)
    (row,) = table.to_dict(orient="records")
    return row


def test_memory_with_its_bytes() -> None:
    """32 samples of 3,000 bytes in 50 ms are 1.92 MB/s; 3,000 are 3 times 1,000."""
    passes = [kernel("a", "Mul", "m/l", 30), kernel("b", "AddV2", "m/l", 20)]
    row = one(50, passes, bytes=1_000, bytes_executed=3_000)
    assert (row["reason"], row["reason_ms"]) == ("memory", 50)
    assert row["why"].startswith("2 kernels that each go over the data once (Mul, AddV2);")
    assert "3 kB per sample, 3.0 times the least, at 0.0 GB/s" in row["why"]
    assert (row["time_share"], row["mults_share"]) == (0.5, 0.01)
    assert "--try jit" in row["remedy"]
    assert row["finding"] is None


@pytest.mark.parametrize(
    ("kernels", "reason", "words"),
    [
        ([kernel("g", "GatherV2", "m/l", 50)], "copies", "GatherV2 moved values"),
        ([kernel("t", "Transpose", "m/l", 50)], "copies", "computed none, 50.0 of 50.0 ms"),
        ([kernel("s", "Softmax", "m/l", 50)], "transcendentals", "Softmax, 50.0 of 50.0 ms: exp"),
        ([kernel("r", "ReadVariableOp", "m/l", 50)], "waiting", "50.0 of 50.0 ms went by in"),
        (
            [kernel("o", "Mean", "m/l", 50, thread_ms=50)],
            "one thread",
            "Mean ran on one of 2 threads, 50.0 of 50.0 ms",
        ),
        # 5,000 executions of 10 us in one step.
        (
            [kernel("k", "Mul", "m/l", 50, calls=5_000)],
            "small kernels",
            "5,000 small kernels per step, 10.0 us each (Mul)",
        ),
        # 32 samples x 100 MACs in 50 ms; the layers' 10,000 MACs take 100 ms.
        (
            [kernel("c", "DepthwiseConv2dNative", "m/l", 50, macs=100)],
            "slow product",
            "gets less out of the machine than the model's other products: 0.0 GMAC/s, all "
            "layers 0.0",
        ),
        ([kernel("x", "Mystery", "m/l", 50, macs=None)], "unknown", "nothing tells why"),
    ],
)
def test_every_reason_in_words(kernels, reason, words) -> None:
    row = one(50, kernels, macs=100 if reason == "slow product" else 0)
    assert row["reason"] == reason
    assert words in row["why"]


@pytest.mark.parametrize(
    ("exp", "copied", "told", "rest"),
    [
        (45, 5, 0.45, 0.05),  # of 100 ms; 45 are 90 % of the layer's
        (40, 10, 0.5, 0.0),  # 40 are 80 %, which is not enough
    ],
)
def test_as_many_reasons_as_most_of_the_time_has(exp, copied, told, rest) -> None:
    kernels = [kernel("t", "Transpose", "m/l", copied), kernel("e", "Exp", "m/l", exp)]
    table = disagreements(run([DENSE, layer("m/l", "Some", 50, mults=100)], [PRODUCT, *kernels]))
    assert table["reason"].tolist() == ["transcendentals"]
    assert table["reason_ms"].tolist() == [100 * told]
    assert ("; Transpose moved values" in table["why"][0]) == (told == 0.5)
    assert explained(table) == pytest.approx((told, rest))


def test_what_nothing_is_known_of_is_not_explained() -> None:
    mystery = [kernel("x", "Mystery", "m/l", 50, macs=None)]
    table = disagreements(run([DENSE, layer("m/l", "Some", 50, mults=100)], [PRODUCT, *mystery]))
    assert explained(table) == pytest.approx((0.0, 0.5))


def test_a_finding_about_the_layer_lends_its_remedy() -> None:
    found = [
        {"layer": "m/l", "kind": "unfused batch norm", "remedy": "fold it", "saving_bytes": None},
        {"layer": "m/l", "kind": "padding pass", "remedy": "pad less", "saving_bytes": None},
    ]
    row = one(50, [kernel("a", "Mul", "m/l", 50)], found=found)
    assert (row["finding"], row["remedy"]) == ("unfused batch norm", "fold it")


def test_one_pass_has_no_remedy() -> None:
    assert one(50, [kernel("a", "Mean", "m/l", 50)])["remedy"] is None


@pytest.mark.parametrize(
    ("ms", "mults"),
    [
        (1, 1),  # 2.0 % of the time at least
        (50, 3_400),  # 50 % of the time, 25.6 % of the multiplications
        (50, None),  # not known, not compared
    ],
)
def test_what_does_not_disagree_is_not_told(ms, mults) -> None:
    mine = layer("m/l", "Some", ms, mults=mults)
    ran = [PRODUCT, kernel("a", "Mul", "m/l", ms)]
    assert not len(disagreements(run([DENSE, mine], ran)))


def test_a_run_without_multiplications_has_nothing_to_disagree_with() -> None:
    table = disagreements(run([layer("m/l", "Some", 5)], [kernel("a", "Mul", "m/l", 5)]))
    assert (len(table), list(table.columns)) == (0, list(COLUMNS))


@pytest.mark.kernels
def test_a_small_transformer_is_explained() -> None:
    """LayerNormalization and Embedding multiply next to nothing and are not left in silence."""
    layers = keras.layers
    tokens = keras.Input((64,), dtype="int32")
    x = layers.Embedding(500, 64, name="embedding")(tokens)
    y = layers.LayerNormalization(name="norm")(x)
    x = layers.Add()([x, layers.MultiHeadAttention(4, 16)(y, y)])
    model = keras.Model(tokens, layers.Dense(64)(x))
    data = np.random.default_rng(0).integers(0, 500, (256, 64))
    profile = tftrace.profile(model, data, batch_size=64, repeats=0, calibrate=False)
    table = profile.disagreements.set_index(profile.disagreements["path"].str.split("/").str[-1])
    assert table.loc["norm", "reason"] == "memory"
    assert "times the least" in table.loc["norm", "why"]
    told, rest = explained(profile.disagreements)
    assert told + rest == pytest.approx(table["time_share"].sum())
    # Whatever the reasons are here, what is told of a layer holds for 90 % of its time.
    assert UNKNOWN not in set(table["reason"])
    assert rest <= 0.1 * (told + rest)
    assert profile.to_dict()["disagreements"][0]["path"] == profile.disagreements["path"][0]
