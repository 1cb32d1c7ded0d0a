"""What the tests share: networks, and runs that are measured once for the whole session."""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from collections.abc import Callable
from functools import cache

import networks
import numpy as np
import pytest

_GATES = {"network": "TFTRACE_NETWORK", "slow": "TFTRACE_SLOW"}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests that need a registry, or many minutes, run only when asked for."""
    for item in items:
        for mark, variable in _GATES.items():
            # Not `in item.keywords`, which has the names of folders too: of the clone itself, say.
            if item.get_closest_marker(mark) and os.environ.get(variable) != "1":
                item.add_marker(pytest.mark.skip(reason=f"set {variable}=1 to run it"))


@pytest.fixture(scope="session")
def run_of(tmp_path_factory: pytest.TempPathFactory) -> Callable:
    """``run_of(name, **options)``: the profile of a network of `networks`, measured once."""
    import tftrace

    @cache
    def measured(name: str, **options: object):
        model, data = networks.BUILDERS[name]()
        out = tmp_path_factory.mktemp("run") / "logs"
        return tftrace.profile(
            model, data, **{"repeats": 0, "calibrate": False, "out": out, **options}
        )

    return measured


@pytest.fixture
def random() -> np.random.Generator:
    return np.random.default_rng(7)
