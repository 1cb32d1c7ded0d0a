"""How the command line ends when it is told to: quietly, with 128 + the signal's number."""

from __future__ import annotations

import atexit
import os
import signal
import sys

TYPE_CHECKING = False  # of `typing`, which takes a while to import: signals do not wait
if TYPE_CHECKING:
    from types import FrameType
    from typing import Any, NoReturn

_STOPPING = (signal.SIGINT, signal.SIGTERM)
_AGAIN_S = 0.5
_PATIENCE = 20  # times; then the process ends, cleaned up or not
_CAN_WAIT = hasattr(signal, "setitimer")


def leave_at_once() -> None:
    """Where nothing is there to be cleaned up: before and after the command."""
    for each in _STOPPING:
        signal.signal(each, _at_once)


def leave_tidily() -> None:
    """Let what is half-written be taken away first."""
    signal.signal(signal.SIGTERM, _tidily)
    signal.signal(signal.SIGINT, _interrupted)


def done() -> None:
    """The command has ended, tidily or not; what is left is the end of the interpreter."""
    leave_at_once()
    if _CAN_WAIT and signal.getitimer(signal.ITIMER_REAL)[0]:
        signal.signal(signal.SIGALRM, lambda *_: os._exit(_Leaving.code))
        signal.setitimer(signal.ITIMER_REAL, _AGAIN_S * _PATIENCE)


def told() -> int | None:
    """The exit code of the signal that came; None where none did."""
    return _Leaving.code or None


def end() -> None:
    """Where a signal has come, end the process here, all being cleaned up and written.

    TensorFlow's threads may still be at work, and a thread that meets an interpreter that takes
    itself down ends the process in a crash.
    """
    if told() is not None:
        atexit._run_exitfuncs()
        os._exit(_Leaving.code)


class _Leaving:
    """What was decided when the first signal came."""

    code = 0
    tried = 0


def _at_once(number: int, _: FrameType | None) -> None:
    os._exit(128 + number)


def _interrupted(number: int, _: FrameType | None) -> None:
    print("tftrace: interrupted; no half-written run is left", file=sys.stderr)
    _tidily(number, None)


def _tidily(number: int, _: FrameType | None) -> NoReturn:
    """Raise SystemExit, which passes the clean-up that takes half-written runs away.

    Native code that calls Python may swallow it; so it is raised again, until something is on
    its way out. A second signal changes nothing.
    """
    for each in _STOPPING:
        signal.signal(each, signal.SIG_IGN)
    _Leaving.code = 128 + number
    sys.unraisablehook = _unraisable
    if _CAN_WAIT:
        signal.signal(signal.SIGALRM, _again)
        signal.setitimer(signal.ITIMER_REAL, _AGAIN_S, _AGAIN_S)
    raise SystemExit(_Leaving.code)


def _again(*_: object) -> None:
    _Leaving.tried += 1
    if _Leaving.tried >= _PATIENCE:
        os._exit(_Leaving.code)
    if not _on_its_way(sys.exc_info()[1]):
        raise SystemExit(_Leaving.code)


def _on_its_way(error: BaseException | None) -> bool:
    while error is not None and not isinstance(error, SystemExit):
        error = error.__context__
    return error is not None


def _unraisable(swallowed: Any) -> None:
    """Say nothing of the SystemExit that a destructor swallowed: another follows."""
    if not isinstance(swallowed.exc_value, SystemExit):
        sys.__unraisablehook__(swallowed)
