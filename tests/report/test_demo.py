"""The demo's answer is made of what was measured, whatever kernels ran."""

import networks
import pytest

import tftrace
from tftrace.demo import build
from tftrace.report.terminal.demo import answer


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
