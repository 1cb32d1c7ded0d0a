"""The demo's answer is made of what was measured, whatever kernels ran."""

from types import SimpleNamespace

import networks
import pytest

import tftrace
from tftrace.comparison.ratio import MIN_PAIRS, Ratio
from tftrace.demo import PAIRS, build
from tftrace.report.terminal.demo import answer, conclusion


@pytest.fixture(scope="module")
def plain():
    data = networks.normal(70, 32, 32, 3)
    return tftrace.profile(build(batch_norm=False), data, repeats=0, calibrate=False)


def test_the_answer_counts_and_names_what_ran(plain, run_of):
    """884,736 + 1,409,024 + 43 (the softmax scales) multiplications without, 32,768 more with:
    1.4 %. The convolution has 27 times those."""
    profile = run_of("mission")
    text = " ".join(answer(plain, profile))
    assert "2,293,803 without, 2,326,571 with (+32.8k, 1.4%)" in text
    assert "Batch norm has 1.4% of the multiplications" in text
    assert "27 times its multiplications" in text
    # 2 x 32 x 32 x 32 x 4 bytes twice, for 32,768 multiplications.
    assert "524.3 kB per sample, 16 bytes for each multiplication" in text
    norm = profile.layers.set_index("name").loc["batch_normalization"]
    share = norm["wall_ms"] / profile.layers["wall_ms"].sum()
    assert f"{share:.1%} of the layers' time" in text
    assert "kernels (Mul and AddV2)" in text or "kernels (AddV2 and Mul)" in text
    on = profile.machine["onednn"]
    assert f"This holds with oneDNN {'on' if on else 'off'}" in text
    assert f"TF_ENABLE_ONEDNN_OPTS={int(not on)}" in text


def test_one_kernel_is_told_as_one(plain, run_of):
    """Under XLA the norm is no two passes, and the answer does not say so."""
    profile = run_of("mission", jit="on")
    text = " ".join(answer(plain, profile))
    assert "Mul and AddV2" not in text


@pytest.mark.parametrize(
    ("low", "high", "told"),
    [
        (1.15, 1.2, "1.19 times as long (95%: 1.15 to 1.20)"),
        (0.9, 1.3, "no difference shown (0.90 to 1.30)"),
    ],
)
def test_it_ends_with_three_lines(plain, run_of, low, high, told):
    """What it costs, why, and what to do; what cannot be told apart is said so."""
    ratio = Ratio(1.19, low, high, 0.95, 9, (9, 9))
    question = SimpleNamespace(profiles=(plain, run_of("mission")), ratio=ratio)
    fold = SimpleNamespace(max_rel_error=9.9e-7)
    lines = conclusion(SimpleNamespace(question=question, fold=fold, answer=question))
    assert max(map(len, lines)) <= 80
    costs, why, remedy = lines
    assert costs.startswith(f"Batch norm: 1.4% more multiplications, {told}")
    assert "16 bytes moved per multiplication" in why
    assert remedy.startswith(f"Do: tftrace fold (outputs within 1e-06): {told}")


def test_the_pairs_are_enough_for_a_verdict():
    assert PAIRS >= MIN_PAIRS
