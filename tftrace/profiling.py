"""Where `Profile` and `load` lived in version 0.1; they are at ``tftrace`` and `tftrace.api`."""

from tftrace.api.load import load, load_foreign, open_any
from tftrace.api.measure import profile
from tftrace.api.profile import Profile

__all__ = ["Profile", "load", "load_foreign", "open_any", "profile"]
