"""A recipe as a Python program, for whoever follows the advice."""

from __future__ import annotations

from collections.abc import Iterator

from tftrace.advice.recipe import Recipe

_IMPORTS = """\
{keras}
import numpy as np
"""
_KERAS = {2: "import tf_keras as keras", 3: "import keras"}
_HALF = """\


def in_{half}(layer):
    return type(layer).from_config(layer.get_config() | {{"dtype": "mixed_{half}"}})


single = model
model = keras.models.clone_model(single, clone_function=in_{half})
model.set_weights(single.get_weights())
"""
_FLOAT32 = 'y = keras.tree.map_structure(lambda array: array.astype("float32"), y)\n'
_FOLD = "model = fold(model).model  # tftrace fold saves it as a file\n"
_NO_BIAS = "model = without_biases(model)\n"
_FREEZE = "model = freeze(model)\n"
_THREADS = "tf.config.threading.set_{which}_op_parallelism_threads({count})\n"
_SLICES = """\
run = tf.function(lambda batch: model(batch, training=False){jit})
count = len(tf.nest.flatten(x)[0])
slices = [slice(at, at + {batch_size}) for at in range(0, count, {batch_size})]
parts = [run(tf.nest.map_structure(lambda array: array[part], x)) for part in slices]
y = tf.nest.map_structure(lambda *of_batches: np.concatenate(of_batches), *parts)
"""


def script(recipe: Recipe, model: str, data: str, unsafe: bool = False, keras: int = 3) -> str:
    """A Python program that predicts by the recipe.

    Args:
        model: file of the model.
        data: the ``.npy`` or ``.npz`` file.
        unsafe: whether the model file holds Python code that may run.
        keras: 2 or 3, which loads it.
    """
    return "".join(_parts(recipe, model, data, unsafe, keras))


def _parts(recipe: Recipe, model: str, data: str, unsafe: bool, keras: int) -> Iterator[str]:
    yield _IMPORTS.format(keras=_KERAS[keras])
    threads = {"intra": recipe.intra_op_threads, "inter": recipe.inter_op_threads}
    if recipe.function or recipe.own_process:
        yield "import tensorflow as tf\n"
    yield "\n" if recipe.fold or recipe.freeze or recipe.no_bias else ""
    yield "from tftrace.folding.bias import without_biases\n" if recipe.no_bias else ""
    yield "from tftrace.folding.fold import fold\n" if recipe.fold else ""
    yield "from tftrace.tracer.graphs.frozen import freeze\n" if recipe.freeze else ""
    yield "\n" if recipe.own_process else ""
    for which, count in threads.items():
        yield "" if count is None else _THREADS.format(which=which, count=count)
    mode = ", safe_mode=False" if unsafe else ""
    yield f"\nmodel = keras.models.load_model({model!r}, compile=False{mode})\n"
    yield _FOLD if recipe.fold else ""
    yield _NO_BIAS if recipe.no_bias else ""
    if recipe.rounds:
        yield _HALF.format(half="bfloat16" if recipe.bfloat16 else "float16")
    yield _FREEZE if recipe.freeze else ""
    yield f"x = np.load({data!r})\n"
    if data.endswith(".npz"):
        yield "x = dict(x) if len(x.files) > 1 else x[x.files[0]]\n"
    yield from _predicting(recipe)
    if recipe.rounds:
        yield _FLOAT32


def _predicting(recipe: Recipe) -> Iterator[str]:
    if recipe.function:
        jit = "" if recipe.jit is None else f", jit_compile={recipe.jit}"
        yield _SLICES.format(jit=jit, batch_size=recipe.batch_size)
        return
    if recipe.jit is not None:
        yield f"model.jit_compile = {recipe.jit}\n"
    yield f"y = model.predict(x, batch_size={recipe.batch_size})\n"
