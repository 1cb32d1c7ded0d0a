"""Findings: where time and multiplications disagree, why, and what would help."""

from tftrace.advice.findings import batch_norm as _batch_norm  # noqa: F401  (registers)
from tftrace.advice.findings.registry import Finding, find, finding

__all__ = ["Finding", "find", "finding"]
