"""Remedies as command lines that run when they are pasted where the run was made."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import Any

FOLD = "tftrace fold {model} -o folded.keras {load}"
TRY_XLA = "tftrace run {model} {data} --try jit {options}"
TRY_ALL = "tftrace advise {model} {data} {options}"
WITHOUT_XLA = "tftrace run {model} {data} --jit off {options}"
FREEZE = "tftrace compare {model} {data} --set freeze=on {options} {jit}"
WITHOUT_ONEDNN = "TF_ENABLE_ONEDNN_OPTS=0 tftrace run {model} {data} {options} {jit}"

_MODEL, _DATA = "model.keras", "data.npy"


def batch_size(size: int) -> str:
    """The command that tries another batch size."""
    return f"tftrace compare {{model}} {{data}} --set batch-size={size} {{load}} {{jit}}"


def complete(command: str | None, run: Mapping[str, Any]) -> str | None:
    """The command with the run's files and the options that it was loaded with.

    Args:
        command: one of the above.
        run: settings of the run, as in the manifest. Where Python code made it, the files are
            those that `preparation` speaks of; None where it gave data that no file holds.
    """
    no_file = bool(run.get("own_batches")) and not run.get("origin")
    if command is None or ("{data}" in command and no_file):
        return None
    origin = run.get("origin") or {"model": _MODEL, "data": _DATA, "options": []}
    load = list(origin["options"])
    size = run["batch_size"]
    given = {
        "{model}": [origin["model"]],
        "{data}": [*(("--data-module",) if origin.get("data_module") else ()), origin["data"]],
        "{load}": load,
        "{options}": load + ([] if run.get("own_batches") or size == 32 else _batch(size)),
        "{jit}": ["--jit", "on"] if run["jit"] else [],
    }
    words = (shlex.join(given[w]) if w in given else w for w in command.split())
    return " ".join(word for word in words if word)


def _batch(size: int) -> list[str]:
    return ["--batch-size", str(size)]


def preparation(command: str, run: Mapping[str, Any]) -> str | None:
    """What has to be done before ``command`` runs, as Python; None where nothing has."""
    if run.get("origin"):
        return None
    steps = [f"model.save({_MODEL!r})"]
    return "; ".join([*steps, f"np.save({_DATA!r}, x)"] if _DATA in command else steps)
