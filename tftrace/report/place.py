"""Where a run is, as a command that opens it."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tftrace.api.profile import Profile


def page_command(profile: Profile) -> str | None:
    """``tftrace view RUN``, from the current folder where the run is below it; None for a run that
    lives no longer than its profile."""
    if not profile.saved:
        return None
    # Beside a trace from elsewhere others may lie, the newest of which a folder would mean.
    run = (profile.trace_path if profile.foreign else profile.folder).absolute()
    here = _here()
    if here is not None and run.is_relative_to(here):
        run = run.relative_to(here)
    return f"tftrace view {shlex.quote(str(run))}"


def _here() -> Path | None:
    """None where the current folder has been removed."""
    try:
        return Path.cwd()
    except FileNotFoundError:
        return None
