"""Many runs and hosts at once: find their traces, read them side by side, compare them."""

from tftrace.scan.result import ScanResult
from tftrace.scan.run import scan

__all__ = ["ScanResult", "scan"]
