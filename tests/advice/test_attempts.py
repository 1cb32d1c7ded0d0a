"""What is tried on which model, and what goes together."""

from dataclasses import replace

import pytest

from tftrace.advice.attempts import Facts, attempts
from tftrace.advice.recipe import Recipe, changes, combined, compatible

FACTS = Facts(
    samples=1_000,
    fixed_batch=False,
    jit=False,
    legacy=False,
    own_predict=False,
    kinds=frozenset({"Conv2D", "BatchNormalization"}),
    dtypes=frozenset({"float32"}),
    instruction_sets=frozenset({"avx2", "avx512_bf16"}),
    gpu=False,
    biased=False,
    threads=(2, 2),
)
BASE = Recipe(batch_size=32)
BATCHES = ["batch size 8", "batch size 128", "batch size 512"]
THREADS = ["1 intra-op thread", "1 inter-op thread"]
WAYS = ["XLA on", "fold batch norm", "frozen weights", "tf.function"]
REST = [*WAYS, "bfloat16", *THREADS]


def names(**changed):
    return [a.name for a in attempts(BASE, replace(FACTS, **changed))]


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({}, [*BATCHES, *REST]),
        ({"samples": 200}, [*BATCHES[:2], *REST]),
        ({"fixed_batch": True}, REST),
        ({"jit": True}, [*BATCHES, "XLA off", *REST[1:]]),
        ({"kinds": frozenset({"Dense"})}, [*BATCHES, "XLA on", *REST[2:]]),
        ({"own_predict": True}, [*BATCHES, *WAYS[:2], "bfloat16", *THREADS]),
        # Keras 2 cannot be folded, frozen or cast.
        ({"legacy": True}, [*BATCHES, "XLA on", "tf.function", *THREADS]),
        (
            {"legacy": True, "biased": True},
            [*BATCHES, "XLA on", "tf.function", "no bias before norm", *THREADS],
        ),
        # No arithmetic in bfloat16, or none known, or not all in float32.
        ({"instruction_sets": frozenset({"avx2"})}, [*BATCHES, *WAYS, *THREADS]),
        ({"instruction_sets": None}, [*BATCHES, *WAYS, *THREADS]),
        ({"dtypes": frozenset({"float32", "float64"})}, [*BATCHES, *WAYS, *THREADS]),
        (
            {"instruction_sets": frozenset({"avx512_fp16"})},
            [*BATCHES, *WAYS, "float16", *THREADS],
        ),
        # What a GPU can compute is not asked; its memory is not another process's.
        ({"gpu": True}, [*BATCHES, *WAYS, "bfloat16", "float16"]),
        (
            {"threads": (16, 1)},
            [*BATCHES, *WAYS, "bfloat16", "8 intra-op threads", "1 intra-op thread"],
        ),
        ({"threads": (1, 1)}, [*BATCHES, *WAYS, "bfloat16"]),
    ],
)
def test_what_applies_is_tried(changed, expected) -> None:
    assert names(**changed) == expected


def test_an_attempt_changes_one_thing() -> None:
    for attempt in attempts(BASE, FACTS):
        assert len(list(changes(BASE, attempt.recipe))) == 1


def test_of_two_batch_sizes_the_first_counts_and_frozen_weights_need_predict() -> None:
    function, large, larger = (
        Recipe(function=True),
        Recipe(batch_size=128),
        Recipe(batch_size=512),
    )
    frozen, folded = Recipe(freeze=True), Recipe(fold=True)
    assert compatible(BASE, [function, large, larger, frozen, folded]) == [0, 1, 4]
    assert compatible(BASE, [frozen, function, folded]) == [0, 2]
    together = combined(BASE, [function, large, folded])
    assert together == Recipe(batch_size=128, fold=True, function=True)
