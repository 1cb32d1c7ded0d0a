"""The work of every operation of a program: what runs, and what the mathematics needs of it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction

from tftrace.counts import formulas as _formulas  # noqa: F401  (registers the built-in formulas)
from tftrace.counts.dependence import Dependence, dependences
from tftrace.counts.dilation import kept_shares
from tftrace.counts.flow import Flow, flow_of
from tftrace.counts.registry import count_op, needed_of, record_of, registered
from tftrace.counts.work import Work
from tftrace.graph import FlatOp, Program

PARAMETER_NOTE = "arithmetic on parameters alone: runs on every batch, needed once"
FOLDED_NOTE = "constant: folded before the first batch"
NEUTRAL_NOTE = "multiplies by one: removed before running"
DILATED_NOTE = "dilated through space-to-batch: computes positions that are cropped"


@dataclass(frozen=True, slots=True)
class OpCount:
    """Work of one operation of an inlined program.

    ``times`` executions per call of the root: 0 for an operation that nothing needs, None when
    it depends on data. ``work`` is what one execution does over the whole batch, ``needed``
    what the mathematics needs of it. ``known`` is False when the type has no formula.
    """

    key: str
    owner: str | None
    type: str
    live: bool
    times: int | None
    work: Work
    needed: Work
    depends_on: Dependence
    known: bool = True
    note: str | None = None


def count_program(program: Program) -> list[OpCount]:
    """Count every operation of ``program``, in the order of ``flatten``."""
    return count_flow(flow_of(program))


def count_flow(flow: Flow) -> list[OpCount]:
    """As :func:`count_program`, from tensors already followed."""
    levels, shares = dependences(flow), kept_shares(flow)
    return [_count(op, levels[key], shares.get(key)) for key, op in flow.ops.items()]


def _count(op: FlatOp, level: Dependence, share: Fraction | None) -> OpCount:
    work, needed, note = Work.nothing(), Work.nothing(), None
    if op.live:
        work, needed, note = _work(op, level, share)
    return OpCount(
        key=op.key,
        owner=op.owner,
        type=op.node.type,
        live=op.live,
        times=op.times if op.live else 0,
        work=work,
        needed=needed,
        depends_on=level,
        known=registered(op.node.type),
        note=note or work.reason or (op.reason if op.live and op.times is None else None),
    )


def _work(op: FlatOp, level: Dependence, share: Fraction | None) -> tuple[Work, Work, str | None]:
    """Executed and needed work of a live operation, and what to say about the difference."""
    record = record_of(op)
    work = count_op(record)
    if level is Dependence.CONSTANT:
        return Work.nothing(), Work.nothing(), FOLDED_NOTE if work.mults else None
    if _is_neutral(op):
        return Work.nothing(), Work.nothing(), NEUTRAL_NOTE
    if level is Dependence.PARAMETER:
        # A loop's counter is no arithmetic worth a remark.
        remark = (work.flops or work.transcendentals) and _is_float(op)
        return work, Work.nothing(), PARAMETER_NOTE if remark else None
    if share is not None and share != 1:
        return work, _scaled(work, share), DILATED_NOTE
    return work, needed_of(record, work), None


def _is_float(op: FlatOp) -> bool:
    return any("float" in spec.dtype for spec in op.node.outputs)


def _is_neutral(op: FlatOp) -> bool:
    """``x * 1`` (the swish of beta 1) and ``x / 1``; TensorFlow's optimizer takes them out."""
    if op.node.type not in ("Mul", "RealDiv"):
        return False
    shape = op.node.outputs[0].shape
    left, right = op.input_values
    by_one = right == 1 and op.sources[0].shape == shape
    return by_one or (op.node.type == "Mul" and left == 1 and op.sources[1].shape == shape)


def _scaled(work: Work, share: Fraction) -> Work:
    def part(count: int | None) -> int | None:
        return None if count is None else int(count * share)

    return replace(work, mults=part(work.mults), macs=part(work.macs), flops=part(work.flops))
