"""Which layer of one model is which of another, on tables made by hand."""

import pandas as pd

from tftrace.comparison.layer_pairs import layer_pairs

FIRST, SECOND = [None, 30, 30, 32], [None, 28, 28, 64]


def layers(*rows: tuple) -> pd.DataFrame:
    """(path, type, output shape, parameters) each; the model's own row comes first."""
    known = [
        ("net", "Functional", [None, 10], 0),
        *((f"net/{path}", *more) for path, *more in rows),
    ]
    return pd.DataFrame(known, columns=["path", "type", "output_shape", "params"])


def pairs(a: pd.DataFrame, b: pd.DataFrame) -> list[tuple]:
    """As (path of A, path of B), None where a side has no such layer; the model's row left out."""
    below = [[path.partition("/")[2] for path in table["path"]] for table in (a, b)]
    found = [
        tuple(None if i is None else paths[i] for i, paths in zip(pair, below, strict=True))
        for pair in layer_pairs(a, b)
    ]
    assert found[0] == ("", "")
    return found[1:]


def network(*numbers, batch_norm=False):
    """Convolution, (batch norm,) flatten and dense with Keras' own numbers behind their names."""
    conv, norm, flatten, dense = (f"_{n}" if n else "" for n in numbers)
    middle = (
        [(f"batch_normalization{norm}", "BatchNormalization", FIRST, 128)] if batch_norm else []
    )
    return layers(
        (f"conv2d{conv}", "Conv2D", FIRST, 896),
        *(middle if batch_norm else []),
        (f"flatten{flatten}", "Flatten", [None, 28_800], 0),
        (f"dense{dense}", "Dense", [None, 10], 288_010),
    )


def test_layers_that_keras_named_are_matched_by_what_they_are():
    assert pairs(network(0, 0, 0, 0, batch_norm=True), network(1, 0, 1, 1)) == [
        ("conv2d", "conv2d_1"),
        ("batch_normalization", None),
        ("flatten", "flatten_1"),
        ("dense", "dense_1"),
    ]


def test_a_layer_put_in_front_does_not_shift_the_others():
    a = layers(("conv2d", "Conv2D", FIRST, 896), ("conv2d_1", "Conv2D", SECOND, 18_496))
    b = layers(
        ("conv2d", "Conv2D", [None, 32, 32, 3], 12),
        ("conv2d_1", "Conv2D", FIRST, 896),
        ("conv2d_2", "Conv2D", SECOND, 18_496),
    )
    assert pairs(a, b) == [(None, "conv2d"), ("conv2d", "conv2d_1"), ("conv2d_1", "conv2d_2")]
    assert pairs(b, a) == [("conv2d", None), ("conv2d_1", "conv2d"), ("conv2d_2", "conv2d_1")]


def test_names_that_someone_gave_come_first_whatever_the_order_and_type():
    a = layers(("left", "Dense", [None, 4], 20), ("right", "Dense", [None, 4], 20))
    b = layers(("right", "Dense", [None, 4], 20), ("left", "Lambda", [None, 4], 0))
    assert sorted(pairs(a, b)) == [("left", "left"), ("right", "right")]


def test_layers_of_different_types_are_never_taken_for_each_other():
    a, b = layers(("re_lu", "ReLU", FIRST, 0)), layers(("dropout", "Dropout", FIRST, 0))
    assert pairs(a, b) == [("re_lu", None), (None, "dropout")]


def test_a_wider_layer_is_still_the_same_layer():
    a, b = layers(("dense", "Dense", [None, 4], 20)), layers(("dense_3", "Dense", [None, 8], 40))
    assert pairs(a, b) == [("dense", "dense_3")]


def test_of_several_alike_those_of_one_name_are_one():
    a = layers(*((f"re_lu_{i}", "ReLU", FIRST, 0) for i in range(4)))
    b = layers(*((f"re_lu_{i}", "ReLU", FIRST, 0) for i in (0, 2, 3)))
    assert pairs(a, b) == [(f"re_lu_{i}", None if i == 1 else f"re_lu_{i}") for i in range(4)]


def test_a_nested_model_is_matched_inside():
    a = layers(("sequential", "Sequential", FIRST, 0), ("sequential/conv2d", "Conv2D", FIRST, 896))
    b = layers(
        ("sequential_4", "Sequential", FIRST, 0), ("sequential_4/conv2d_7", "Conv2D", FIRST, 896)
    )
    assert pairs(a, b) == [
        ("sequential", "sequential_4"),
        ("sequential/conv2d", "sequential_4/conv2d_7"),
    ]


def test_the_batch_is_no_difference_and_shapes_may_be_unknown():
    a = layers(("dense", "Dense", [32, 4], 20), ("lambda", "Lambda", None, 0))
    b = layers(("dense_1", "Dense", [None, 4], 20), ("lambda_1", "Lambda", None, 0))
    assert pairs(a, b) == [("dense", "dense_1"), ("lambda", "lambda_1")]


def test_large_models_are_aligned():
    kinds = [("Conv2D", [None, i % 7, 3], i % 5) for i in range(600)]
    a = layers(*((f"conv2d_{i}", *kind) for i, kind in enumerate(kinds)))
    b = layers(*((f"conv2d_{i + 9}", *kind) for i, kind in enumerate(kinds) if i != 300))
    found = pairs(a, b)
    assert found[300] == ("conv2d_300", None)
    del found[300]
    assert found == [(f"conv2d_{i}", f"conv2d_{i + 9}") for i in range(600) if i != 300]
