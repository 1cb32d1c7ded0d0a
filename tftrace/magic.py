"""``%%tftrace`` for a notebook's cell: trace what it predicts, and show it below."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

from tftrace.errors import TftraceError

USAGE = "%%tftrace [NAME] [--out FOLDER] [--repeats N] [--all-ops]"


class Wanted(NamedTuple):
    """What stands behind ``%%tftrace``."""

    name: str = "profile"
    out: Path = Path("tftrace-runs")
    repeats: int = 5
    all_ops: bool = False


def load_ipython_extension(shell: Any) -> None:
    """What ``%load_ext tftrace`` calls.

    Args:
        shell: IPython's, which gets the cell magic ``%%tftrace``.
    """

    def magic(line: str, cell: str) -> None:
        """Trace every predict of the cell and show where its time goes.

        NAME is the variable that gets the last profile (default: profile). Runs go below FOLDER
        (default: tftrace-runs); latency is the median of N more passes (default: 5, 0: none).
        """
        _run(shell, wanted(line), cell)

    shell.register_magic_function(magic, "cell", "tftrace")


def wanted(line: str) -> Wanted:
    """The words behind ``%%tftrace``.

    Raises:
        TftraceError: one of them is not known, with the usage.
    """
    found = Wanted()
    words = iter(_split(line))
    for word in words:
        if word == "--all-ops":
            found = found._replace(all_ops=True)
        elif word == "--out":
            found = found._replace(out=Path(_next(words, word)))
        elif word == "--repeats":
            number = _next(words, word)
            if not number.isdecimal():
                _refuse(f"--repeats takes a whole number, not {number!r}")
            found = found._replace(repeats=int(number))
        elif word.isidentifier():
            found = found._replace(name=word)
        else:
            _refuse(f"{word!r} is not known")
    return found


def _split(line: str) -> list[str]:
    try:
        return shlex.split(line)
    except ValueError as error:
        _refuse(str(error))


def _next(words: Any, option: str) -> str:
    word: str | None = next(words, None)
    if word is None:
        _refuse(f"{option} needs a value")
    return word


def _refuse(reason: str) -> NoReturn:
    raise TftraceError(f"{reason}; usage: {USAGE}")


def _run(shell: Any, options: Wanted, cell: str) -> None:
    from IPython.display import display

    from tftrace.api.trace import trace
    from tftrace.api.tracing import NONE_RAN

    with trace(options.out, repeats=options.repeats, all_ops=options.all_ops) as tracing:
        result = shell.run_cell(cell)
    if not result.success:  # IPython has shown the error
        return
    if not tracing.profiles:
        # A warning has told why one that ran was not traced.
        print(f"nothing was traced: {tracing.untraced[-1] if tracing.untraced else NONE_RAN}")
        return
    shell.user_ns[options.name] = tracing.profile
    for profile in tracing.profiles:
        display(profile)
