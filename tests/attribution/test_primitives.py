"""oneDNN's primitives find their kernels by time; shapes keep the wrong ones out."""

import pytest

from tftrace.attribution.join import Join
from tftrace.attribution.primitives import (
    COMPUTE,
    INPUT,
    NO_KERNEL,
    OTHER_SHAPE,
    OUTPUT,
    TWO_KERNELS,
    UNREAD,
    WEIGHTS,
    join_primitives,
    roles,
)
from tftrace.graph.kernel_types import is_onednn, plain_type
from tftrace.parsers.onednn import Executed, OnednnLog, Primitive, Tensor
from tftrace.runs.run import open_run


def primitive(kind: str, problem: str, **layouts: str) -> Primitive:
    tensors = tuple(Tensor(role, "f32", layout) for role, layout in layouts.items())
    return Primitive(kind, "jit", "undef", tensors, "", problem)


@pytest.fixture
def join(run_of) -> Join:
    return Join(open_run(run_of("small").folder))


def first_product(join: Join) -> tuple[int, int, int]:
    """An execution of `hidden`'s product: its index; start and end in ns since the epoch."""
    (origin,) = (
        plane.stats["profile_start_time"]
        for plane in join.run.trace.planes
        if "profile_start_time" in plane.stats
    )
    row = next(r for r in join.rows if "hidden" in r.name and plain_type(r.type) == "MatMul")
    zero, which = origin + join.run.trace.base_ns, int(row.executions[0])
    e = join.executions
    return which, zero + int(e.start[which]) // 1000, zero + int(e.end[which]) // 1000


def log_of(*executed: tuple[Primitive, int, int]) -> OnednnLog:
    return OnednnLog("3", "", [Executed(p, start, end - start) for p, start, end in executed])


# Dense(16) of 8 features on the first batch, of 32 samples.
PRODUCT = primitive("inner_product", "mb32ic8oc16", src="ab", wei="ba", dst="ab")


def test_a_primitive_belongs_to_the_kernel_that_ran_at_its_time(join: Join) -> None:
    which, start, end = first_product(join)
    found = join_primitives(join, log_of((PRODUCT, start, end)))
    (row,) = found.rows
    assert row.op == join.rows[join.row_of[which]].name
    assert (row.role, row.calls, row.kernel_calls) == (COMPUTE, 1, 3)
    assert found.unjoined == {}


def test_times_are_cut_to_the_microsecond(join: Join) -> None:
    _, start, end = first_product(join)
    found = join_primitives(join, log_of((PRODUCT, start - 999, end + 200)))
    assert len(found.rows) == 1


def test_another_shape_at_that_time_is_not_joined(join: Join) -> None:
    _, start, end = first_product(join)
    other = primitive("inner_product", "mb32ic8oc17", src="ab", wei="ba", dst="ab")
    found = join_primitives(join, log_of((other, start, end)))
    assert found.rows == []
    assert found.unjoined == {OTHER_SHAPE: (1, (end - start) / 1e6)}


def test_what_ran_in_no_kernel_is_counted_and_what_ran_outside_is_not_of_this_run(
    join: Join,
) -> None:
    _, start, _ = first_product(join)
    long, day = 10_000_000_000, 86_400_000_000_000
    log = log_of((PRODUCT, start, start + long), (PRODUCT, start + day, start + day + 10))
    found = join_primitives(join, log)
    assert found.unjoined == {NO_KERNEL: (1, 10_000.0)}


def test_lines_that_could_not_be_read_are_told(join: Join) -> None:
    assert join_primitives(join, OnednnLog(unread=3)).unjoined == {UNREAD: (3, 0.0)}


def test_two_kernels_at_one_time_are_not_guessed(join: Join, monkeypatch) -> None:
    """Their own type decides between them; where it does not, nobody."""
    _, start, end = first_product(join)
    # Every kernel of the run lasts as long as the window.
    e = join.executions
    e.start[:], e.end[:] = join.window.start, join.window.end
    found = join_primitives(join, log_of((PRODUCT, start, end)))
    theirs = sum(is_onednn(kind) for kind in e.types)
    if theirs != 1:
        assert found.unjoined == {TWO_KERNELS: (1, (end - start) / 1e6)}


CONV = primitive(
    "convolution",
    "mb4_ic3oc8_ih32oh32kh3sh1dh0ph1_iw32ow32kw3sw1dw0pw1",
    src="acdb",
    wei="Acdb16a",
    dst="aBcd16b",
)


@pytest.mark.parametrize(
    ("reorder", "place", "role"),
    [
        (primitive("reorder", "8x3x3x3", src="cdba", dst="Acdb16a"), "before", WEIGHTS),
        (primitive("reorder", "4x3x32x32", src="abcd", dst="acdb"), "before", INPUT),
        (primitive("reorder", "4x8x32x32", src="aBcd16b", dst="acdb"), "after", OUTPUT),
        # The layout of the weights, yet another number of elements.
        (primitive("reorder", "9x9x3x3", src="cdba", dst="Acdb16a"), "before", "reorder"),
        (primitive("reorder", "8x3x3x3", src="cdba", dst="Acdb16a"), "after", "reorder"),
    ],
)
def test_what_a_reorder_is_there_for(reorder: Primitive, place: str, role: str) -> None:
    if place == "before":
        assert roles([reorder, CONV]) == [role, COMPUTE]
    else:
        assert roles([CONV, reorder]) == [COMPUTE, role]


def test_a_kernel_that_only_reorders_computes_by_it() -> None:
    assert roles([primitive("reorder", "2x3", src="ab", dst="ba")]) == [COMPUTE]
