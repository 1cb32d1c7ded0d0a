"""Runs made by hand that several rules are held against, without and with oneDNN."""

import pytest
import runs_by_hand
from runs_by_hand import graph, kernel, layer, machine, run

from tftrace.timeline.share_out import PIPELINE


@pytest.fixture(name="onednn", params=[False, True], ids=["plain", "onednn"], autouse=True)
def both_settings(request, monkeypatch) -> bool:
    """Every rule is held against runs without and with oneDNN."""
    monkeypatch.setattr(runs_by_hand, "ONEDNN", request.param)
    return request.param


def only(found, kind):
    (finding,) = [f for f in found if f["kind"] == kind]
    return finding


def kinds(found):
    return [f["kind"] for f in found]


def conv_then(*ops, types=None):
    """A convolution with a bias, and behind it the given operations."""
    return graph(
        ("x", "Placeholder", None),
        ("w", "ReadVariableOp", "m/conv"),
        ("conv", "Conv2D", "m/conv", ["x", "w"]),
        ("bias", "BiasAdd", "m/conv", ["conv", "w"]),
        *ops,
        types={"m/conv": "Conv2D"} | (types or {}),
    )


def batches(ops_ms: float, macs: int, samples: int = 64, **settings: int):
    """8 batches of 8 samples, 2 ms each, of which the kernels take ``ops_ms``."""
    steps = [(10.0 + 2 * i, 2.0, ops_ms) for i in range(8)]
    layers = [layer("m/dense", "Dense", 8 * ops_ms, macs=macs)]
    rest = {PIPELINE: 8 * (2 - ops_ms) + 10}
    return run(
        layers,
        [],
        None,
        rest,
        steps,
        machine(),
        batch_size=8,
        samples=samples,
        median_ms=16.0,
        **settings,
    )


def call(
    before: float,
    after: float,
    median_ms: float | None = None,
    of_steps: int = 4,
    stages=(),
    samples: int = 32,
    **wall: float,
):
    """Four batches of 10 ms, each with 6 ms of kernels, of a call of ``of_steps``."""
    steps = [(before + 10 * i, 10.0, 6.0) for i in range(4)]
    rest = {PIPELINE: before + after + 16.0} | wall
    return run(
        [layer("m/conv", "Conv2D", 24)],
        [],
        None,
        rest,
        steps,
        median_ms=median_ms,
        of_steps=of_steps,
        stages=stages,
        samples=samples,
    )


def precise(dtype: str, roofs=None, macs: int = 5):
    structure = graph(("x", "Placeholder", None), ("c", "Conv2D", "m/conv", ["x"], dtype))
    ops = [kernel("c", "_FusedConv2D", "m/conv", 10, macs=macs)]
    return run([layer("m/conv", "Conv2D", 10)], ops, structure, roofs=roofs)
