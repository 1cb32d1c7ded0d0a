"""The command line: commands, exit codes, and nothing else."""

from __future__ import annotations

import atexit
import contextlib
import gc
import logging
import os
import sys
import traceback
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from tftrace.commands import signals
from tftrace.commands.advise import advise
from tftrace.commands.calibrate import calibrate
from tftrace.commands.check import check
from tftrace.commands.compare import compare
from tftrace.commands.count import count
from tftrace.commands.demo import demo
from tftrace.commands.estimate import estimate
from tftrace.commands.export import export
from tftrace.commands.first import first
from tftrace.commands.fold import fold
from tftrace.commands.output import OutputError, guard_output
from tftrace.commands.report import report
from tftrace.commands.run import run
from tftrace.commands.scan import scan
from tftrace.commands.shared import DEBUG_VARIABLE, debugging
from tftrace.commands.view import view
from tftrace.errors import TftraceError
from tftrace.text import printable
from tftrace.version import __version__

_DEBUG = "--debug"
_BROKEN_PIPE = 13  # SIGPIPE, which Windows lacks
_BUG = 70
"""Exit code of a failure that is tftrace's own: sysexits' EX_SOFTWARE."""

# Newer versions of typer carry a click of their own, so its class has no fixed address.
_UsageError: type[Exception] = next(
    c for c in typer.BadParameter.__mro__ if c.__name__ == "ClickException"
)

app = typer.Typer(
    name="tftrace",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Where the time of model.predict goes, Keras layer by layer, beside the multiplications.",
    epilog="Errors exit with code 2 and one line on stderr; --debug shows the traceback.",
)

for _command in (
    run,
    report,
    view,
    export,
    scan,
    count,
    compare,
    advise,
    first,
    fold,
    estimate,
    calibrate,
    check,
    demo,
):
    app.command()(_command)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"tftrace {__version__}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool,
        typer.Option(
            "--version", help="Print the version and exit.", is_eager=True, callback=_print_version
        ),
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks.")] = False,
) -> None:
    """Options that stand before the command; --debug may stand anywhere."""


class _OnStderr(logging.Handler):
    """What the library logs, a line each, on what is standard error at the time."""

    def emit(self, record: logging.LogRecord) -> None:
        from tftrace.report.terminal.parts.progress import note

        note("tftrace: " + printable(record.getMessage()))


def main() -> None:
    """Run the command line: exit code 2 and one line on stderr for what the user can mend.

    Whatever else is raised is a fault of tftrace, and is called one: exit code 70.
    """
    if _DEBUG in sys.argv:
        sys.argv = [argument for argument in sys.argv if argument != _DEBUG]
        os.environ[DEBUG_VARIABLE] = "1"
    # Imports make a million objects that stay: looking through them again and again for garbage
    # takes a tenth of a short command.
    gc.set_threshold(100_000, 20, 100)
    # The interpreter looks for garbage once more when it ends, a seventh of a short command, though
    # all that is left goes back to the system anyway.
    atexit.register(gc.freeze)
    log = logging.getLogger("tftrace")
    log.addHandler(_OnStderr())
    log.setLevel(logging.INFO)
    guard_output()
    signals.leave_tidily()
    try:
        code = app(standalone_mode=False) or 0
        sys.stdout.flush()
        sys.exit(code)
    except Exception as error:
        # Native code that is interrupted while it starts makes an error of its own out of it.
        if signals.told() is not None:
            sys.exit(signals.told())
        _end(error)
    finally:
        signals.done()
        with contextlib.suppress(OutputError):
            sys.stdout.flush()
        signals.end()


def _end(error: Exception) -> NoReturn:
    """Say what went wrong, in a line, and leave with its exit code."""
    if isinstance(error, OutputError) and error.closed:  # `| head` has seen enough
        sys.exit(128 + _BROKEN_PIPE)
    if isinstance(error, OutputError):
        _fail(str(error), 2)
    if isinstance(error, _UsageError):
        _fail_usage(error)
    if debugging():
        raise error
    if isinstance(error, TftraceError):
        _fail(str(error), 2)
    told = _of_the_model(error)
    if told is not None:
        _fail(told, 2)
    _fail(
        f"a fault of tftrace: {type(error).__name__}: {error} ({_place(error)}); please report "
        "it with what --debug shows",
        _BUG,
    )


def _of_the_model(error: Exception) -> str | None:
    """What to say of a failure of the user's model; None where it is none."""
    if "tensorflow" not in sys.modules:
        return None
    from tftrace.tracer.failures import explained

    return explained(error)


def _fail(message: str, code: int) -> NoReturn:
    """One line, whatever the message quotes."""
    print("tftrace: " + printable(" ".join(message.split())), file=sys.stderr)
    sys.exit(code)


def _fail_usage(error: Any) -> NoReturn:
    """What was wrong with the arguments, and where to read on."""
    message, context = error.format_message().rstrip("."), getattr(error, "ctx", None)
    if type(error).__name__ == "NoArgsIsHelpError":  # help was printed
        sys.exit(error.exit_code)
    command = "tftrace" if context is None else context.command_path
    _fail(f"{message} (see {command} --help)", error.exit_code)


def _place(error: Exception) -> str:
    """File and line where it was raised."""
    last = traceback.extract_tb(error.__traceback__)[-1]
    return f"{Path(last.filename).name}:{last.lineno}"
