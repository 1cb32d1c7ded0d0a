"""Where `Profile` and `load` lived in version 0.1; they are at ``tftrace`` and `tftrace.api`."""

from tftrace.api.measure import profile
from tftrace.api.profile import Profile, load, load_foreign, open_any

__all__ = ["Profile", "load", "load_foreign", "open_any", "profile"]
