"""Which row of **ops** a logged primitive belongs to, and what it takes in the traced pass."""

import pandas as pd
import pytest
from runs_by_hand import kernel, layer, primitive, run

from tftrace.tables.primitives import computing, kernel_key


def table_of(*kernels: dict, logged: list[dict]) -> pd.DataFrame:
    return run([layer("m/a", "Conv2D", 1)], kernels, primitives=logged).primitives


CONV = "_MklNativeConv2D"


def test_the_time_is_scaled_to_the_executions_of_the_traced_pass() -> None:
    """4 ms over 4 executions that were logged; 10 are expected in the pass."""
    table = table_of(
        kernel("c", CONV, "m/a", 1, 8, expected_calls=10), logged=[primitive("c", "compute", 4.0)]
    )
    assert table.loc[0, "pass_ms"] == pytest.approx(10)
    assert table.loc[0, "layer"] == "m/a"


def test_a_kernel_that_was_not_recorded_has_its_type_from_the_graph() -> None:
    """oneDNN renames it when it runs; the row of the graph still says Conv2D."""
    table = table_of(
        kernel("c", "Conv2D", "m/a", 1, 0, expected_calls=6),
        logged=[primitive("c", "compute", 4.0)],
    )
    assert table.loc[0, "pass_ms"] == pytest.approx(6)


@pytest.mark.parametrize(
    "other",
    [
        # TensorFlow's own kernel of that name ran here; another operation; another kernel.
        kernel("c", "Conv2D", "m/a", 1, 4),
        kernel("c", "MatMul", "m/a", 1, 0, expected_calls=4),
        kernel("d", CONV, "m/a", 1, 4),
    ],
)
def test_another_kernel_is_not_taken_for_it(other: dict) -> None:
    table = table_of(other, logged=[primitive("c", "compute", 4.0)])
    assert pd.isna(table.loc[0, "pass_ms"])
    assert pd.isna(table.loc[0, "layer"])


def test_executions_that_nobody_knows_are_not_0() -> None:
    table = table_of(
        kernel("c", "Conv2D", "m/a", 1, 0, expected_calls=None),
        logged=[primitive("c", "compute", 4.0)],
    )
    assert pd.isna(table.loc[0, "pass_ms"])


def test_several_implementations_stand_in_order_of_time() -> None:
    rows = [
        primitive("c", "compute", 1.0, implementation="ref:any"),
        primitive("c", "compute", 4.0, implementation="jit:avx2"),
        primitive("c", "reorder of weights", 9.0, implementation="jit:uni"),
    ]
    found = computing(rows)
    for key in (kernel_key("c", CONV, 3), kernel_key("c", "Conv2D", 0)):
        assert found[key]["implementation"] == "jit:avx2; ref:any"
