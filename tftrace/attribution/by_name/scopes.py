"""Operations matched to layers by their names alone, with what is uncertain about it.

TensorFlow appends a number to a scope that is taken, as it is when a model is traced again:
``conv2d_1`` is the layer ``conv2d_1``, or the layer ``conv2d`` traced a second time.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from tftrace.attribution.by_name.model_file import LayerNode

BY_NAME = "matched by name"

_NUMBER = re.compile(r"_\d+$")


@dataclass(frozen=True)
class Match:
    """The layer (path from the model down) that an operation's name points to.

    ``rivals`` are paths of the layers that the name may mean as well.
    """

    path: str
    rivals: tuple[str, ...] = ()

    @property
    def note(self) -> str:
        """How the layer was found."""
        return BY_NAME + (f"; could be {', '.join(self.rivals)}" if self.rivals else "")


def match_operations(model: LayerNode, names: Iterable[str]) -> dict[str, Match]:
    """The layer of every operation whose name points to one.

    Args:
        model: the root of the layers.
        names: all operations of the trace. Together they tell whether scopes were renumbered:
            of the two ways to read them, the one that finds more layers is taken.
    """
    matches: dict[str, Match] = {}
    scopes = {name: tuple(name.split("/")[:-1]) for name in names}
    for name, scope in scopes.items():
        if any(c == model.name or _base(c, (model.name,)) for c in scope):
            matches[name] = Match(model.name)
    _descend(model, model.name, scopes, (), matches)
    return matches


def _descend(
    node: LayerNode,
    path: str,
    scopes: dict[str, tuple[str, ...]],
    rivals: tuple[str, ...],
    matches: dict[str, Match],
) -> None:
    children = {child.name: child for child in node.children}
    found: dict[str, dict[str, tuple[str, ...]]] = defaultdict(dict)
    for name, scope in scopes.items():
        for i, component in enumerate(scope):
            if component in children or _base(component, children):
                found[component][name] = scope[i + 1 :]
                break
    for component, child in _read(list(found), children).items():
        either = {component, _base(component, children)} & set(children) - {child}
        also = (*rivals, *(f"{path}/{other}" for other in sorted(either)))
        inner = f"{path}/{child}"
        matches.update((name, Match(inner, also)) for name in found[component])
        _descend(children[child], inner, found[component], also, matches)


def _read(components: list[str], children: dict[str, LayerNode]) -> dict[str, str]:
    """Child by scope: as it is written, or without its number if that finds more of them."""
    written = {c: c if c in children else _base(c, children) for c in components}
    renumbered = {c: _base(c, children) or c for c in components}
    better = len(set(renumbered.values())) > len(set(written.values()))
    return renumbered if better else written


def _base(component: str, known: Iterable[str]) -> str:
    """The name of ``known`` that the component is without its number, or nothing."""
    base = _NUMBER.sub("", component)
    return base if base != component and base in known else ""
