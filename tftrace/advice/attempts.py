"""What is worth trying on a model: one small function per remedy."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from tftrace.advice.recipe import Recipe
from tftrace.folding.bias import biased_norms


@dataclass(frozen=True)
class Facts:
    """What decides whether a remedy applies.

    ``kinds`` are those of the layers; ``instruction_sets`` None where they are not known;
    ``biased`` whether convolutions add a bias in front of a batch norm that would fuse without;
    ``threads`` inside an operation and between operations.
    """

    samples: int
    fixed_batch: bool
    jit: bool
    legacy: bool
    own_predict: bool
    kinds: frozenset[str]
    dtypes: frozenset[str]
    instruction_sets: frozenset[str] | None
    gpu: bool
    biased: bool
    threads: tuple[int, int]


@dataclass(frozen=True)
class Attempt:
    """A remedy: its name, the recipe, in words how to do it, and the finding that promises it."""

    name: str
    recipe: Recipe
    how: str
    promised_by: tuple[str, ...] = ()


_FACTORS = (0.25, 4, 16)
_BFLOAT16 = frozenset(("amx_bf16", "avx512_bf16", "bf16"))
_FLOAT16 = frozenset(("amx_fp16", "avx512_fp16"))

_Rule = Callable[[Recipe, Facts], Iterator[Attempt]]
_RULES: list[_Rule] = []


def attempt(rule: _Rule) -> _Rule:
    """Register ``rule``: from the recipe as it is and the facts it yields what may help."""
    _RULES.append(rule)
    return rule


def attempts(base: Recipe, facts: Facts) -> Sequence[Attempt]:
    """All that apply."""
    return [found for rule in _RULES for found in rule(base, facts)]


@attempt
def batch_size(base: Recipe, facts: Facts) -> Iterator[Attempt]:
    """Other batch sizes, unless the file fixes one."""
    if facts.fixed_batch:
        return
    for factor in _FACTORS:
        size = int(base.batch_size * factor)
        if 1 <= size <= facts.samples:
            yield Attempt(
                f"batch size {size}",
                replace(base, batch_size=size),
                f"model.predict(x, batch_size={size})",
                ("batch size too small", "dispatch-bound small ops"),
            )


@attempt
def jit(base: Recipe, facts: Facts) -> Iterator[Attempt]:
    """With XLA where it is off, without where it is on."""
    on = not facts.jit
    yield Attempt(
        "XLA on" if on else "XLA off",
        replace(base, jit=on),
        f"model.compile(jit_compile={on})",
        ("activation pass",) if on else (),
    )


@attempt
def fold(base: Recipe, facts: Facts) -> Iterator[Attempt]:
    """Batch norms folded into their neighbors."""
    if not facts.legacy and "BatchNormalization" in facts.kinds:
        yield Attempt(
            "fold batch norm",
            replace(base, fold=True),
            "tftrace fold, then predict with the folded model",
            ("unfused batch norm",),
        )


@attempt
def freeze(base: Recipe, facts: Facts) -> Iterator[Attempt]:
    """Weights as constants, which oneDNN orders once and TensorFlow computes ahead with."""
    if not (facts.legacy or facts.own_predict):
        yield Attempt(
            "frozen weights",
            replace(base, freeze=True),
            "predict from an exported graph with constants",
            ("weights reordered on every batch",),
        )


@attempt
def function(base: Recipe, facts: Facts) -> Iterator[Attempt]:
    """The model called by itself, without what predict does around it."""
    if not facts.own_predict:
        yield Attempt(
            "tf.function",
            replace(base, function=True),
            "f = tf.function(model); f(batch) on slices of the data",
            ("predict overhead", "input pipeline bound"),
        )


@attempt
def bfloat16(base: Recipe, facts: Facts) -> Iterator[Attempt]:
    """Half the bytes, where the processor can compute so; outputs change."""
    if _halves(facts, _BFLOAT16):
        yield Attempt("bfloat16", replace(base, bfloat16=True), _in_type("bfloat16"))


@attempt
def float16(base: Recipe, facts: Facts) -> Iterator[Attempt]:
    """The same of the type that has more digits and less range."""
    if _halves(facts, _FLOAT16):
        yield Attempt("float16", replace(base, float16=True), _in_type("float16"))


def _halves(facts: Facts, arithmetic: frozenset[str]) -> bool:
    able = facts.gpu or bool(arithmetic & (facts.instruction_sets or frozenset()))
    return able and not facts.legacy and facts.dtypes == {"float32"}


def _in_type(name: str) -> str:
    return f'layers with dtype="mixed_{name}"; check the outputs on your own measure'


@attempt
def no_bias(base: Recipe, facts: Facts) -> Iterator[Attempt]:
    """Without biases that keep a batch norm of Keras 2 from fusing."""
    if facts.biased:
        yield Attempt(
            "no bias before norm",
            replace(base, no_bias=True),
            "use_bias=False, and the bias subtracted from the norm's moving_mean",
            ("bias blocks the fusion",),
        )


@attempt
def threads(base: Recipe, facts: Facts) -> Iterator[Attempt]:
    """Fewer threads; a GPU's memory is this process's, and another cannot be tried beside it."""
    if facts.gpu:
        return
    inside, between = facts.threads
    for count in sorted({1, inside // 2} - {0, inside}, reverse=True):
        yield _with_threads("intra", count, replace(base, intra_op_threads=count))
    if between > 1:
        yield _with_threads("inter", 1, replace(base, inter_op_threads=1))


def _with_threads(which: str, count: int, recipe: Recipe) -> Attempt:
    name = f"{count} {which}-op thread" + ("s" if count > 1 else "")
    how = f"tf.config.threading.set_{which}_op_parallelism_threads({count}) before all else"
    return Attempt(name, recipe, how)


def facts_of(model: Any, samples: int) -> Facts:
    """What the rules ask about a loaded model."""
    import tensorflow as tf

    from tftrace.tracer.keras_model import fixed_batch, is_legacy, jit_compiled, overrides_predict
    from tftrace.tracer.keras_private import layers_within
    from tftrace.tracer.setting import instruction_sets, setting

    layers = [model, *layers_within(model)]
    known, legacy = instruction_sets(), is_legacy(model)
    here = setting()
    return Facts(
        samples=samples,
        fixed_batch=fixed_batch(model) is not None,
        jit=jit_compiled(model),
        legacy=legacy,
        own_predict=overrides_predict(model),
        kinds=frozenset(type(layer).__name__ for layer in layers),
        dtypes=frozenset(str(getattr(layer, "compute_dtype", "")) for layer in layers),
        instruction_sets=None if known is None else frozenset(known),
        gpu=bool(tf.config.list_physical_devices("GPU")),
        biased=legacy and bool(biased_norms(model)),
        threads=(here.intra_op_threads, here.inter_op_threads),
    )
