"""Functions of the user's own, named on the command line as ``package.module:function``."""

from __future__ import annotations

import importlib
import sys
from types import ModuleType
from typing import Any

from tftrace.errors import TftraceError


def result_of(option: str, text: str) -> Any:
    """What the function that ``option`` names returns; it is called without arguments.

    Raises:
        TftraceError: it is not to be found, raises, or returns None.
    """
    module_name, _, name = text.partition(":")
    if not module_name or not name:
        raise TftraceError(f"{option} {text}: write it as module:function")
    function = getattr(import_module(option, text), name, None)
    if not callable(function):
        raise TftraceError(f"{option} {text}: {module_name} has no function {name}")
    try:
        found = function()
    except (Exception, SystemExit) as error:  # the user's own code runs here
        raise TftraceError(f"{option} {text}: {_said(error)}") from error
    if found is None:
        raise TftraceError(f"{option} {text}: the function returned nothing")
    return found


def import_module(option: str, text: str) -> ModuleType:
    """The module of ``module`` or ``module:name``; one beside the caller is found too.

    Raises:
        TftraceError: it does not exist or fails while it is imported.
    """
    if "" not in sys.path:
        sys.path.insert(0, "")  # as `python -m` does
    try:
        return importlib.import_module(text.partition(":")[0])
    except (Exception, SystemExit) as error:  # the user's own code runs here
        raise TftraceError(f"{option} {text}: {_said(error)}") from error


def _said(error: BaseException) -> str:
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text or 'it ended the program'}"
