"""Where the time of model.predict goes, layer by layer, beside the multiplications.

    profile = tftrace.profile(model, x, batch_size=32)
    profile.layers          # one row per layer: time, multiplications, bytes
    print(profile)          # the report

Importing tftrace imports neither TensorFlow nor pandas; the names below load when first used.
"""

from __future__ import annotations

from importlib import import_module

from tftrace.errors import TftraceError, TftraceWarning
from tftrace.version import __version__

TYPE_CHECKING = False  # of `typing`, which takes a while to import: the command line comes by here
if TYPE_CHECKING:
    from typing import Any

    from tftrace.api.callback import Callback
    from tftrace.api.count import count
    from tftrace.api.estimate import estimate
    from tftrace.api.first import first_call
    from tftrace.api.load import load
    from tftrace.api.measure import profile
    from tftrace.api.profile import Profile
    from tftrace.api.trace import trace
    from tftrace.counts import OpRecord, Work, register_count

_HOMES = {
    "Callback": "tftrace.api.callback",
    "OpRecord": "tftrace.counts",
    "Profile": "tftrace.api.profile",
    "Work": "tftrace.counts",
    "count": "tftrace.api.count",
    "estimate": "tftrace.api.estimate",
    "first_call": "tftrace.api.first",
    "load": "tftrace.api.load",
    "load_ipython_extension": "tftrace.magic",
    "profile": "tftrace.api.measure",
    "register_count": "tftrace.counts",
    "trace": "tftrace.api.trace",
}

__all__ = [
    "Callback",
    "OpRecord",
    "Profile",
    "TftraceError",
    "TftraceWarning",
    "Work",
    "__version__",
    "count",
    "estimate",
    "first_call",
    "load",
    "profile",
    "register_count",
    "trace",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'tftrace' has no attribute {name!r}")
    value = getattr(import_module(_HOMES[name]), name)
    # Found once; later look-ups do not come here.
    globals()[name] = value
    return value
