"""The compiled loop of `sweep`."""

from __future__ import annotations

import numpy as np

from tftrace.native.jit import loop
from tftrace.native.language import Float64s, Int, Int8s, Int64s, inlined

_NEVER = np.iinfo(np.int64).max


@loop
def sweep(
    n_lines: Int,
    at: Int64s,
    until: Int64s,
    start: Int64s,
    end: Int64s,
    ignored: Int8s,
    stack: Int64s,
    depth: Int64s,
    since: Int64s,
    each_since: Float64s,
    heap: Int64s,
    due: Int64s,
    part: Float64s,
    own: Int64s,
    share: Float64s,
    covered: Int64s,
) -> Int:
    """One sweep over time for `sweep.sweep`; what is `ignored` is not there.

    The intervals `at[i]` to `until[i]` are those of line i, in order of start, longest first;
    `at` is moved on. Of each line `depth`, zeros at first, says how many intervals are open in
    its part of `stack`, `since` and `each_since` since when the innermost has been it; `heap` and
    `due` are room for the lines and the times at which they change next, the earliest first;
    `part[k]` is 1 / k.
    Adds to `own` and `share`; fills `covered` and returns how many spans there are.
    """
    waiting = 0
    for i in range(n_lines):
        while at[i] < until[i] and ignored[at[i]] != 0:
            at[i] += 1
        if at[i] < until[i]:
            heap[waiting] = i
            due[waiting] = start[at[i]]
            waiting += 1
    for place in range(waiting // 2 - 1, -1, -1):
        _sift(place, waiting, heap, due)
    count = 0
    active = 0
    now = np.int64(0)
    each = 0.0  # what one interval active all along would have
    while waiting > 0:
        i = heap[0]
        before = active
        if active > 0:
            each += (due[0] - now) * part[active]
        now = due[0]
        bottom = until[i] - 1  # the stack grows down from the end of the line's part
        top = bottom - depth[i] + 1
        if depth[i] > 0:
            this = stack[top]
            own[this] += now - since[i]
            share[this] += each - each_since[i]
            active -= 1
            while top <= bottom and end[stack[top]] <= now:
                top += 1
        while at[i] < until[i] and start[at[i]] <= now:
            if ignored[at[i]] == 0 and end[at[i]] > now:
                top -= 1
                stack[top] = at[i]
            at[i] += 1
        depth[i] = bottom - top + 1
        next_due = _NEVER
        while at[i] < until[i] and ignored[at[i]] != 0:
            at[i] += 1
        if at[i] < until[i]:
            next_due = start[at[i]]
        if depth[i] > 0:
            since[i] = now
            each_since[i] = each
            active += 1
            next_due = min(next_due, end[stack[top]])
        if before == 0 and active > 0:
            if count > 0 and covered[2 * count - 1] == now:
                count -= 1  # goes on where the last span ended
            else:
                covered[2 * count] = now
        elif before > 0 and active == 0:
            covered[2 * count + 1] = now
            count += 1
        due[0] = next_due
        if next_due == _NEVER:
            waiting -= 1
            heap[0] = heap[waiting]
            due[0] = due[waiting]
        _sift(0, waiting, heap, due)
    return count


@inlined
def _sift(place, length, heap, due):  # type: ignore[no-untyped-def]
    """Let the line at a place of the heap sink to where it belongs."""
    while True:
        least = place
        for child in range(2 * place + 1, min(2 * place + 3, length)):
            if due[child] < due[least]:
                least = child
        if least == place:
            return
        heap[place], heap[least] = heap[least], heap[place]
        due[place], due[least] = due[least], due[place]
        place = least
