"""Where a batch norm can be folded, and what of the run's own kernels goes away with it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from tftrace.findings.basis.chains import Product, product_before, products_after
from tftrace.findings.basis.figures import Kernel
from tftrace.graph.fusions import takes_activation, takes_bias
from tftrace.graph.kernel_types import plain_type
from tftrace.runs.layer_graph import LayerGraph

# oneDNN's convolution and matrix product add a second tensor of the same shape to their result.
_ADDING = frozenset(("Conv2D", "MatMul"))
READS = frozenset(("ReadVariableOp",))
"""Kernels that hand a variable on: their time is waiting, not work or memory traffic."""


@dataclass(frozen=True)
class Fold:
    """What removing a batch norm by folding would do.

    ``direction`` is backward, forward or None with the ``obstacle``; ``into`` are layer paths.
    ``adds_bias``: the target has no bias yet and needs a pass to add one. ``frees`` is an
    activation and ``joins`` an addition (operations) that would become part of the target.
    """

    direction: str | None
    into: tuple[str, ...] = ()
    adds_bias: bool = False
    frees: str | None = None
    joins: str | None = None
    obstacle: str = ""


@dataclass(frozen=True)
class Saving:
    """What folding does to the kernels of the run, settled ms per traced pass.

    ``norm``, ``activation`` and ``addition`` go away: of the norm itself, of what it frees and
    of what it joins. ``comes`` is new: a pass that adds the bias, or the reading of the tensor
    that the target adds.
    """

    norm: float = 0.0
    activation: float = 0.0
    addition: float = 0.0
    comes: float = 0.0

    @property
    def ms(self) -> float:
        """What is left in all."""
        return max(0.0, self.norm + self.activation + self.addition - self.comes)


def fold_of(graph: LayerGraph, path: str, onednn: bool = False) -> Fold:
    """Where the run's graph lets a batch norm go; `tftrace.folding.fold` has the last word.

    Args:
        onednn: whether oneDNN's kernels ran, which take in more than TensorFlow's own.
    """
    entries, exits = graph.entries(path), graph.exits(path)
    if len(entries) != 1 or len(exits) != 1:
        return Fold(None, obstacle="its surroundings are not known")
    before = product_before(graph, entries[0])
    if isinstance(before, Product):
        into = (graph.path(before.op) or "",)
        product = plain_type(graph.type[before.op])
        if not (before.direct and takes_bias(product, onednn)):
            return Fold("backward", into, adds_bias=not before.bias)
        if onednn and product in _ADDING:
            joins = addition_behind(graph, exits[0])
            if joins is not None:
                frees = freed(graph, joins, product, onednn)
                return Fold("backward", into, frees=frees, joins=graph.key[joins])
        return Fold("backward", into, frees=freed(graph, exits[0], product, onednn))
    after = products_after(graph, exits[0])
    if isinstance(after, str) or not after:
        return Fold(None, obstacle=f"before: {before}; behind: {after or 'nothing reads it'}")
    return Fold("forward", tuple(dict.fromkeys(graph.path(op) or "" for op in after)))


def folds_of(graph: LayerGraph, paths: Iterable[str], onednn: bool = False) -> dict[str, Fold]:
    """`fold_of` every norm; of several that one addition reads, one joins it."""
    found: dict[str, Fold] = {}
    taken: set[str] = set()
    for path in paths:
        fold = fold_of(graph, path, onednn)
        if fold.joins is not None and fold.joins in taken:
            fold = replace(fold, joins=None, frees=None)
        taken |= {fold.joins} if fold.joins is not None else set()
        found[path] = fold
    return found


def freed(graph: LayerGraph, op: int, product: str, onednn: bool) -> str | None:
    """The activation that reads ``op`` alone, if a product of that plain type can take it in."""
    readers = graph.consumers[op]
    types = {plain_type(graph.type[reader]) for reader in readers}
    fuses = len(readers) == 1 and takes_activation(product, types, onednn)
    return graph.key[readers[0]] if fuses else None


def addition_behind(graph: LayerGraph, op: int) -> int | None:
    """The addition of two tensors of one size that reads ``op`` alone."""
    readers = graph.consumers[op]
    if len(readers) != 1 or plain_type(graph.type[readers[0]]) != "Add":
        return None
    added = graph.data_inputs(readers[0])
    sizes = {graph.out_bytes[i] for i in (*added, readers[0])}
    return readers[0] if len(added) == 2 and len(sizes) == 1 else None


def savings(
    graph: LayerGraph, folds: Mapping[str, Fold], kernels: Iterable[Kernel]
) -> dict[str, Saving]:
    """What each fold saves when all of ``folds`` (by the norm's path) are done.

    A kernel goes away when all that it computes does, and its time is split equally among that.
    Of several kernels that compute the same operations (TensorFlow rewrites a norm's offset and
    a residual addition into two sums), as many stay as operations stay, the longest ones.
    """
    gone = _gone(graph, folds)
    parts = {path: {"norm": 0.0, "activation": 0.0, "addition": 0.0} for path in folds}
    own: dict[str, list[Kernel]] = {path: [] for path in folds}
    together: dict[frozenset[str], list[Kernel]] = {}
    for kernel in kernels:
        if kernel.plain_type not in READS:
            together.setdefault(frozenset(kernel.members), []).append(kernel)
    for members, group in together.items():
        leaving = [gone[member] for member in members if member in gone]
        staying = len(members) - len(leaving)
        if not leaving:
            continue
        for kernel in sorted(group, key=lambda k: -k.settled_ms)[staying:]:
            for path, part in leaving:
                parts[path][part] += kernel.settled_ms / len(leaving)
                if part == "norm":
                    own[path].append(kernel)
    return {
        path: Saving(**parts[path], comes=_comes(fold, own[path])) for path, fold in folds.items()
    }


def _gone(graph: LayerGraph, folds: Mapping[str, Fold]) -> dict[str, tuple[str, str]]:
    """The norm and the part of its saving that each operation that goes away counts in."""
    gone: dict[str, tuple[str, str]] = {}
    for op, key in enumerate(graph.key):
        owner = graph.path(op)
        if owner is not None and owner in folds:
            gone[key] = (owner, "norm")
    for path, fold in folds.items():
        for beside, part in ((fold.joins, "addition"), (fold.frees, "activation")):
            if beside is not None:
                gone.setdefault(beside, (path, part))
    return gone


def _comes(fold: Fold, own: list[Kernel]) -> float:
    """A bias is one more pass, as long as one of the norm's; a tensor to add is half of one, for
    it is read and not written."""
    if not own:
        return 0.0
    one_pass = max(kernel.settled_ms for kernel in own)
    if fold.adds_bias:
        return one_pass
    return one_pass / 2 if fold.joins is not None else 0.0
