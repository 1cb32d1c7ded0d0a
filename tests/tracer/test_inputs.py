"""Data is checked before anything runs, and each refusal says what to do."""

import io

import keras
import numpy as np
import pytest
import tensorflow as tf

from tftrace.errors import TftraceError
from tftrace.tracer.data.inputs import fit_inputs, input_names, load_data, samples_of, take

layers = keras.layers


def zeros(*shape, dtype="float32"):
    return np.zeros(shape, dtype)


def one_input():
    return keras.Sequential([keras.Input((4, 3), name="x"), layers.Flatten()])


def two_inputs():
    a, b = keras.Input((4,), name="left"), keras.Input((2,), name="right")
    return keras.Model([a, b], layers.Concatenate()([a, b]))


def mapping_inputs():
    a, b = keras.Input((4,), name="z_in"), keras.Input((2,), name="a_in")
    return keras.Model({"zz": a, "aa": b}, layers.Concatenate()([a, b]))


# --- files


def test_an_npy_is_mapped_not_read(tmp_path, random):
    data = random.normal(size=(5, 3))
    np.save(tmp_path / "x.npy", data)
    loaded = load_data(tmp_path / "x.npy")
    assert isinstance(loaded, np.memmap)
    np.testing.assert_array_equal(loaded, data)


def test_an_npz_gives_its_arrays_by_name(tmp_path):
    np.savez(tmp_path / "x.npz", left=zeros(3, 4), right=zeros(3, 2))
    loaded = load_data(tmp_path / "x.npz")
    assert {k: v.shape for k, v in loaded.items()} == {"left": (3, 4), "right": (3, 2)}


def truncated(path):
    np.save(path, zeros(100, 10))
    path.write_bytes(path.read_bytes()[:-7])


def truncated_archive(path):
    with path.open("wb") as file:
        np.savez(file, a=zeros(100, 10))
    path.write_bytes(path.read_bytes()[:200])


def archive(array):
    file = io.BytesIO()
    np.savez(file, a=array)
    return file.getvalue()


BROKEN = {
    "missing": (lambda path: None, "no data file"),
    "folder": (lambda path: path.mkdir(), "is a folder"),
    "empty": (lambda path: path.touch(), "is empty"),
    "text": (lambda path: path.write_text("1, 2, 3\n"), "is not a .npy or .npz file"),
    "truncated": (truncated, "not a whole .npy or .npz"),
    "truncated archive": (truncated_archive, "not a whole .npy or .npz"),
    "objects in an archive": (
        lambda path: path.write_bytes(archive(np.array([{}], object))),
        "holds Python objects",
    ),
    "objects": (
        lambda path: np.save(path, np.array([{}, []], object), allow_pickle=True),
        "holds Python objects",
    ),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_file_is_named(tmp_path, case):
    make, message = BROKEN[case]
    path = tmp_path / "data.npy"
    make(path)
    with pytest.raises(TftraceError, match=message) as caught:
        load_data(path)
    assert "data.npy" in str(caught.value)


# --- fit

MISFITS = {
    "rank": (one_input, zeros(5, 4), "wants 3 dimensions .batch, 4, 3., the data has 2 .5, 4."),
    "shape": (one_input, zeros(5, 3, 4), r"wants shape \(batch, 4, 3\), the data has \(5, 3, 4\)"),
    "dtype": (one_input, np.full((5, 4, 3), "x"), "wants float32"),
    "complex": (one_input, zeros(5, 4, 3, dtype="complex64"), "wants float32"),
    "zero samples": (one_input, zeros(0, 4, 3), "zero samples"),
    "scalar": (one_input, np.float32(3)[...], "single number"),
    "objects": (one_input, np.array([[1, 2], [3]], object), "object array"),
    "not arrays": (one_input, "text", "give arrays"),
    "nothing": (one_input, {}, "no array"),
    "too few": (two_inputs, zeros(5, 4), "has 2 inputs .left, right.; the data has 1"),
    "too many": (one_input, [zeros(5, 4, 3)] * 2, "has 1 input .x.; the data has 2"),
    "names": (
        two_inputs,
        {"left": zeros(5, 4), "middle": zeros(5, 2)},
        "inputs are left, right; the data has left, middle",
    ),
    "unequal": (two_inputs, [zeros(5, 4), zeros(6, 2)], r"number of samples: \[5, 6\]"),
}


@pytest.mark.parametrize("case", MISFITS)
def test_what_does_not_fit_is_refused_with_a_reason(case):
    build, data, message = MISFITS[case]
    with pytest.raises(TftraceError, match=message):
        fit_inputs(build(), data)


TOKENS = keras.Sequential([keras.Input((4,), dtype="int32"), layers.Embedding(10, 2)])


@pytest.mark.parametrize("dtype", ["uint8", "int64", "bool", "float16", "float64", "bfloat16"])
def test_numbers_of_every_type_fit_as_keras_converts_them(dtype):
    data = np.ones((5, 4)).astype(tf.as_dtype(dtype).as_numpy_dtype)
    for model in (TOKENS, keras.Sequential([keras.Input((4,)), layers.Dense(2)])):
        fitted = fit_inputs(model, data)
        assert fitted is data
        assert model.predict(fitted, verbose=0).shape[0] == 5


@pytest.mark.parametrize("data", [np.full((5, 4), "x"), zeros(5, 4, dtype="complex64")])
def test_what_keras_does_not_convert_to_integers_is_refused(data):
    with pytest.raises(TftraceError, match="wants int32"):
        fit_inputs(TOKENS, data)


def test_a_single_array_of_any_name_fits_a_single_input():
    fitted = fit_inputs(one_input(), {"whatever": zeros(5, 4, 3)})
    assert fitted.shape == (5, 4, 3)


@pytest.mark.parametrize(
    "data",
    [
        {"right": zeros(5, 2), "left": zeros(5, 4)},
        [zeros(5, 4), zeros(5, 2)],
        {"arr_0": zeros(5, 4), "arr_1": zeros(5, 2)},
    ],
    ids=["names", "list", "positions"],
)
def test_several_inputs_come_in_the_models_order(data):
    assert [a.shape for a in fit_inputs(two_inputs(), data)] == [(5, 4), (5, 2)]


def test_a_mapping_model_is_fed_by_its_keys():
    model = mapping_inputs()
    assert input_names(model) == ["aa", "zz"]
    fitted = fit_inputs(model, {"zz": zeros(5, 4), "aa": zeros(5, 2)})
    assert {k: v.shape for k, v in fitted.items()} == {"zz": (5, 4), "aa": (5, 2)}
    assert model.predict(fitted, verbose=0).shape == (5, 6)


def test_a_subclassed_model_without_inputs_takes_the_data_as_it_is():
    class Sub(keras.Model):
        def call(self, x):
            return x["a"] + x["b"]

    data = {"a": zeros(5, 2), "b": zeros(5, 2)}
    assert fit_inputs(Sub(), data) is data


def test_first_samples_of_every_structure():
    assert samples_of({"a": zeros(5, 2)}) == 5
    assert take(zeros(5, 2), 2).shape == (2, 2)
    assert [a.shape for a in take([zeros(5, 2), zeros(5, 3)], 2)] == [(2, 2), (2, 3)]
    assert {k: a.shape for k, a in take({"a": zeros(5, 2)}, 2).items()} == {"a": (2, 2)}
