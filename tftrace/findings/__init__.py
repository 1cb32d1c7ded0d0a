"""Findings: where time and multiplications disagree, why, and what would help."""

# Importing a module registers its rules.
from tftrace.findings import activation as _activation  # noqa: F401
from tftrace.findings import batch_norm as _batch_norm  # noqa: F401
from tftrace.findings import convolution as _convolution  # noqa: F401
from tftrace.findings import copies as _copies  # noqa: F401
from tftrace.findings import dispatch as _dispatch  # noqa: F401
from tftrace.findings import embedding as _embedding  # noqa: F401
from tftrace.findings import first_epoch as _first_epoch  # noqa: F401
from tftrace.findings import input_pipeline as _input_pipeline  # noqa: F401
from tftrace.findings import memory as _memory  # noqa: F401
from tftrace.findings import onednn as _onednn  # noqa: F401
from tftrace.findings import precision as _precision  # noqa: F401
from tftrace.findings import predict_call as _predict_call  # noqa: F401
from tftrace.findings import threads as _threads  # noqa: F401
from tftrace.findings import training as _training  # noqa: F401
from tftrace.findings.basis.evidence import Evidence
from tftrace.findings.registry import Finding, find, finding

__all__ = ["Evidence", "Finding", "find", "finding"]
