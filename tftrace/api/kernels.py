"""Which implementation of oneDNN each kernel ran: a second, short run that logs them."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

from tftrace.api.load import load
from tftrace.api.profile import Profile
from tftrace.attribution.join import Join
from tftrace.attribution.primitives import join_primitives
from tftrace.graph.kernel_types import is_onednn
from tftrace.parsers.onednn import read_onednn_log
from tftrace.runs.manifest import LoggedPrimitive, OnednnRun, Unjoined
from tftrace.runs.run import add_onednn, open_run

BATCHES = 4

# Read by oneDNN and TensorFlow when they are loaded, so only a new process can have them. One
# inter-op thread runs one kernel after the other: at no time there are two to choose from.
_ENVIRONMENT = {
    "ONEDNN_VERBOSE": "profile_exec",
    "ONEDNN_VERBOSE_TIMESTAMP": "1",
    "TF_NUM_INTEROP_THREADS": "1",
}

OFF = "oneDNN is off (TF_ENABLE_ONEDNN_OPTS=0, or TensorFlow's choice for this processor)"
NOTHING_TAKEN = "none of the model's kernels is one of oneDNN's"
COMPILED_OUT = "oneDNN ran and logged nothing: this build of TensorFlow has its log compiled out"
NO_TIMES = "this version of oneDNN logs no times to join by; version 3 does"


def with_kernels(
    profile: Profile,
    model: Path,
    data: Path | None,
    options: Sequence[str] = (),
    progress: Callable[[str], None] = lambda _: None,
) -> Profile:
    """Run the model again for a few batches, in a process that logs oneDNN's primitives.

    What it shows is kept in the manifest of ``profile``'s run under ``onednn``, with the
    ``reason`` where it shows nothing: oneDNN is off, the second run failed, its log is empty.

    Args:
        model, data: the files that were run; no data file where ``options`` name a function.
        options: of ``tftrace run``, as on the command line: what model and data need to load.

    Returns: the run, opened again.
    """
    if not any(is_onednn(str(kind)) for kind in profile.ops["op_type"]):
        # Without oneDNN its matrix product still serves TensorFlow's kernels, and logs.
        off = profile.machine.get("onednn") is False
        found = OnednnRun(reason=OFF if off else NOTHING_TAKEN)
    else:
        progress(f"running {BATCHES} batches again with oneDNN's log")
        with tempfile.TemporaryDirectory(prefix="tftrace-") as scratch:
            found = _logged(_command(profile, model, data, options, scratch), Path(scratch))
    add_onednn(profile.folder, found)
    return load(profile.folder)


def _command(
    profile: Profile, model: Path, data: Path | None, options: Sequence[str], out: str
) -> list[str]:
    run = profile.run
    samples = min(run["samples"], BATCHES * run["batch_size"])
    return [
        *(sys.executable, "-m", "tftrace", "run", str(model)),
        *([] if data is None else [str(data)]),
        *("--batch-size", str(run["batch_size"]), "--samples", str(samples)),
        *("--repeats", "0", "--trace-all", "--all-ops", "--no-calibrate", "--quiet"),
        *("--out", out, *options),
    ]


def _logged(command: list[str], scratch: Path) -> OnednnRun:
    """Run the command and join its log to its trace."""
    log_path = scratch / "log"
    with log_path.open("wb") as log_file:
        done = subprocess.run(
            command,
            env=os.environ | _ENVIRONMENT,
            stdout=log_file,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            check=False,
        )
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["without a word"])[-1]
        return OnednnRun(reason=f"the second run failed: {last}")
    with log_path.open(errors="replace") as lines:
        log = read_onednn_log(lines)
    if not log.executed:
        return OnednnRun(reason=COMPILED_OUT)
    if all(e.start_ns is None for e in log.executed):
        return OnednnRun(reason=NO_TIMES)
    run = open_run(scratch)
    joined = join_primitives(Join(run), log)
    return OnednnRun(
        version=log.version,
        isa=log.isa,
        samples=run.manifest.run.samples,
        steps=run.manifest.run.steps,
        primitives=[LoggedPrimitive(**asdict(row)) for row in joined.rows],
        unjoined=[Unjoined(reason, calls, ms) for reason, (calls, ms) in joined.unjoined.items()],
    )
