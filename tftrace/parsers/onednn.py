"""oneDNN's log (``ONEDNN_VERBOSE=profile_exec``): which primitives ran, how, and how long."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import lru_cache
from math import prod

_MARK = "onednn_verbose,"
_TEMPLATE = "primitive,info,template:"
# The names of the fields as version 3 lists them, in case the line that does so is missing.
_FIELDS = (
    *("engine", "primitive", "implementation", "prop_kind", "memory_descriptors"),
    *("attributes", "auxiliary", "problem_desc", "exec_time"),
)
_BY_SIZES = ("convolution", "deconvolution", "inner_product")
_PRODUCTS = ("matmul", "gemm_api")
_SIZE = re.compile(r"([a-z]+)(-?\d+)")


@dataclass(frozen=True)
class Tensor:
    """A memory descriptor: its role (``src``, ``wei``, ``dst``, …), element type and layout.

    The layout is oneDNN's tag: dimensions from the outermost to the innermost by letter,
    ``Acdb16a`` blocked by 16 (https://uxlfoundation.github.io/oneDNN, "memory formats").
    """

    role: str
    dtype: str
    layout: str


@dataclass(frozen=True)
class Primitive:
    """One kind of primitive, with the fields of its line as they are.

    ``problem`` is its shape: ``mb4_ic3oc8_ih32oh32kh3…`` for a convolution, ``64x32:32x24`` for
    a product of matrices, ``8x3x3x3`` for a reorder.
    """

    kind: str
    implementation: str
    prop_kind: str
    tensors: tuple[Tensor, ...]
    attributes: str
    problem: str

    def tensor(self, *roles: str) -> Tensor | None:
        """The first tensor with one of the roles."""
        return next((t for t in self.tensors if t.role in roles), None)

    @property
    def layout(self) -> str:
        """``src acdb, wei Acdb16a, dst acdb``; bias and workspace left out."""
        shown = (t for t in self.tensors if t.role not in ("bia", "ws"))
        return ", ".join(f"{t.role} {t.layout}" for t in shown)

    @property
    def is_contraction(self) -> bool:
        """Whether it multiplies and adds up."""
        return self.kind in _BY_SIZES or self.kind in _PRODUCTS

    @property
    def element_count(self) -> int:
        """Elements of what a primitive moves or maps, such as a reorder of ``8x3x3x3``."""
        return prod(_dims(self.problem))

    @property
    def macs(self) -> int | None:
        """Multiply-accumulates of a contraction, padding included; None for anything else."""
        if self.kind in _BY_SIZES:
            return _macs_of_sizes(_sizes(self.problem))
        if self.kind in _PRODUCTS:
            return _macs_of_product(self.problem)
        return None

    @property
    def weight_count(self) -> int | None:
        """Elements of a contraction's weights; None for anything else."""
        if self.kind in _BY_SIZES:
            return _weights_of_sizes(_sizes(self.problem))
        if self.kind in _PRODUCTS and ":" in self.problem:
            return prod(_dims(self.problem.split(":")[1]))
        return None


@dataclass(frozen=True)
class Executed:
    """One execution: ``start_ns`` since the epoch (to a microsecond; None without timestamps)."""

    primitive: Primitive
    start_ns: int | None
    duration_ns: int


@dataclass(frozen=True)
class OnednnLog:
    """What the log says. ``unread`` counts lines of executions that have another form."""

    version: str | None = None
    isa: str | None = None
    executed: list[Executed] = field(default_factory=list)
    unread: int = 0


def read_onednn_log(lines: Iterable[str]) -> OnednnLog:
    """Read the lines of oneDNN (version 3) among whatever else the process printed."""
    version = isa = None
    fields: tuple[str, ...] = _FIELDS
    executed: list[Executed] = []
    unread = 0
    for line in lines:
        at = line.find(_MARK)
        if at < 0:
            continue
        text = line[at:].rstrip()
        if ",exec," in text:
            found = _executed(text, fields)
            if found is None:
                unread += ",graph,exec," not in text
            else:
                executed.append(found)
        elif _TEMPLATE in text:
            names = text.partition("template:")[2].split(",")
            fields = tuple(names[names.index("operation") + 1 :])
        elif ",info,oneDNN v" in text:
            version = text.partition("oneDNN v")[2].split()[0]
        elif ",info,cpu,isa:" in text:
            isa = text.partition("isa:")[2]
    return OnednnLog(version, isa, executed, unread)


def _executed(text: str, fields: tuple[str, ...]) -> Executed | None:
    head, _, body = text.partition(",exec,")
    description, _, duration = body.rpartition(",")
    primitive = _primitive(description, fields)
    if primitive is None or not head.endswith(",primitive"):
        return None
    stamp = head.split(",")[-2]
    try:
        start = round(float(stamp) * 1e6) if "." in stamp else None
        return Executed(primitive, start, round(float(duration) * 1e6))
    except ValueError:
        return None


@lru_cache(maxsize=4096)
def _primitive(description: str, fields: tuple[str, ...]) -> Primitive | None:
    """From all fields but the last, the time."""
    values = description.split(",")
    if len(values) != len(fields) - 1:
        return None
    by_name = dict(zip(fields, values, strict=False))
    return Primitive(
        kind=by_name["primitive"],
        implementation=by_name["implementation"],
        prop_kind=by_name["prop_kind"],
        tensors=tuple(filter(None, map(_tensor, by_name["memory_descriptors"].split()))),
        attributes=by_name["attributes"],
        problem=by_name["problem_desc"],
    )


def _tensor(text: str) -> Tensor | None:
    """``wei:f32:ap:blocked:Acdb16a::f0``; None for a tensor that is not there."""
    parts = text.split(":")
    if len(parts) < 4 or parts[1] == "undef":
        return None
    if "_" in parts[0] and not parts[0].startswith("diff_"):
        # The BLAS-like gemm writes the role and the type as one: src_f32::blocked:ab:f0.
        role, _, dtype = parts[0].rpartition("_")
        return Tensor(role, dtype, parts[3])
    return Tensor(parts[0], parts[1], parts[4]) if len(parts) > 4 else None


def _sizes(problem: str) -> dict[str, int]:
    return {name: int(size) for name, size in _SIZE.findall(problem)}


def _macs_of_sizes(sizes: dict[str, int]) -> int | None:
    """Weights times output positions: those of the forward pass, also for its gradients."""
    weights = _weights_of_sizes(sizes)
    if weights is None or "mb" not in sizes:
        return None
    return weights * sizes["mb"] * prod(sizes.get(name, 1) for name in ("od", "oh", "ow"))


def _weights_of_sizes(sizes: dict[str, int]) -> int | None:
    if "ic" not in sizes or "oc" not in sizes:
        return None
    # An inner product over an image has no window: its window is the image.
    window = ("kd", "kh", "kw") if "kw" in sizes else ("id", "ih", "iw")
    taps = prod(sizes.get(name, 1) for name in window)
    return sizes["ic"] * sizes["oc"] * taps // sizes.get("g", 1)


def _macs_of_product(problem: str) -> int | None:
    """``4x2x16x8:4x2x8x16``: dimensions before the last two are a batch, of 1 broadcast."""
    left, _, right = problem.partition(":")
    a, b = _dims(left), _dims(right.partition(":")[0])
    if len(a) != len(b) or len(a) < 2:
        return None
    batch = prod(max(pair) for pair in zip(a[:-2], b[:-2], strict=True))
    return batch * a[-2] * a[-1] * b[-1]


def _dims(text: str) -> list[int]:
    return [int(size) for size in text.split("x") if size.isdigit()]
