"""Which calls of a layer are call sites of their own, when a loop or a choice is in between.

A layer that is called outside a loop and in its body has two call sites. But Keras's recurrent
layers try a step outside the loop whose result nothing uses, and a body may be traced for its
shapes alone: a call of which nothing is needed is the same as the one at its place that is needed.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping

from tftrace.tracer.graphs.recorder import ANOTHER_GRAPH, CallSite


def final_paths(sites: Mapping[str, CallSite], needed: Iterable[str]) -> dict[str, str]:
    """Final path of every noted one.

    Args:
        sites: by noted path, in execution order.
        needed: noted paths with an operation that a result needs.
    """
    used = set()
    for path in needed:
        at: str | None = path
        while at is not None and at not in used:
            used.add(at)
            at = sites[at].parent
    final: dict[str, str] = {}
    for depth in sorted({site.depth for site in sites.values()}):
        level = [site for site in sites.values() if site.depth == depth]
        places: dict[str, list[str]] = defaultdict(list)
        for site in level:
            places[_below(site, final, site.path[_inward(site) :])].append(site.path)
        kept = [[p for p in paths if p in used] or paths[:1] for paths in places.values()]
        own = {path for paths in kept for path in paths}
        calls: Counter[str] = Counter()
        for site in level:
            if site.path in own:
                base = _below(site, final, site.name)
                calls[base] += 1
                final[site.path] = base if calls[base] == 1 else f"{base}#{calls[base]}"
        for paths, same in zip(places.values(), kept, strict=True):
            final.update((path, final[same[0]]) for path in paths if path not in own)
    return final


def _inward(site: CallSite) -> int:
    """Where the site's own part of its path begins."""
    return 0 if site.parent is None else len(site.parent) + 1


def _below(site: CallSite, final: Mapping[str, str], own: str) -> str:
    """A path below the final one of the site's parent, without the graph it was noted in."""
    own = own.partition(ANOTHER_GRAPH)[0]
    return own if site.parent is None else f"{final[site.parent]}/{own}"
