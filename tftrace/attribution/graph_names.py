"""Operations of a traced function by the name that they have inside their own function body."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from tftrace.attribution.function import Function
from tftrace.graph.types import BRANCHES, CALLS, LOOPS


class GraphNames:
    """Looks up what a compiler, which saw one body at a time, calls an operation.

    A flat key is the operation's own name behind the way to its body: ``call/``,
    ``loop/body/``, ``branch/then/``. Such a way is called a prefix here; the root's is empty.
    """

    def __init__(self, function: Function) -> None:
        self.function = function
        self._by_name: dict[str, list[int]] = defaultdict(list)
        self._prefix: list[str] = []
        self._times: dict[str, int | None] = {}
        for i, key in enumerate(function.ops.key):
            prefix = self._prefix_of(key)
            self._prefix.append(prefix)
            self._by_name[key[len(prefix) :]].append(i)
            if function.ops.live[i]:
                self._times.setdefault(prefix, function.times[i])

    def find(self, name: str, prefix: str, within: str) -> int | None:
        """The operation called ``name`` in the body at ``prefix``, or moved there from elsewhere.

        Args:
            name: as the body's own graph has it.
            prefix: of the body; must lie within ``within``.
            within: prefix of the compiled program.

        None when there is none, or several that belong to different call sites: a compiler may
        move an operation out of a loop, and then its name may stand for more than one.
        """
        function = self.function
        direct = function.index.get(prefix + name)
        if direct is not None:
            return direct
        found = [i for i in self._by_name.get(name, ()) if self._prefix[i].startswith(within)]
        inner = [i for i in found if self._prefix[i].startswith(prefix)]
        found = inner or found
        owners = {function.owner[i] for i in found}
        return found[0] if len(owners) == 1 else None

    def times(self, prefix: str) -> int | None:
        """How often the body at ``prefix`` runs per call of the function; None when unknown."""
        return self._times.get(prefix)

    def operation(self, prefix: str) -> int | None:
        """The call, loop or branch whose body is at ``prefix``; None for the root."""
        index = self.function.index
        for cut in _cuts(prefix[:-1]):
            if cut in index:
                return index[cut]
        return None

    def _prefix_of(self, key: str) -> str:
        parent = key.rpartition("/")[0]
        return next((cut + "/" for cut in _cuts(parent) if self._is_body(cut)), "")

    def _is_body(self, path: str) -> bool:
        if self._type(path) in CALLS:
            return True
        caller, _, part = path.rpartition("/")
        if part in ("body", "cond"):
            return self._type(caller) in LOOPS
        return part.startswith(("then", "else", "branch")) and self._type(caller) in BRANCHES

    def _type(self, key: str) -> str | None:
        position = self.function.index.get(key)
        return None if position is None else self.function.ops.type[position]


def _cuts(path: str) -> Iterator[str]:
    """``a/b/c``, ``a/b``, ``a``."""
    while path:
        yield path
        path = path.rpartition("/")[0]
