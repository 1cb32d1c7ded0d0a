"""The command line: commands, exit codes, and nothing else."""

from __future__ import annotations

import atexit
import gc
import logging
import os
import signal
import sys
from typing import Annotated, NoReturn

import typer

from tftrace.commands.calibrate import calibrate
from tftrace.commands.check import check
from tftrace.commands.compare import compare
from tftrace.commands.count import count
from tftrace.commands.demo import demo
from tftrace.commands.estimate import estimate
from tftrace.commands.export import export
from tftrace.commands.fold import fold
from tftrace.commands.report import report
from tftrace.commands.run import run
from tftrace.commands.scan import scan
from tftrace.commands.shared import DEBUG_VARIABLE, debugging
from tftrace.errors import TftraceError
from tftrace.version import __version__

_DEBUG = "--debug"

app = typer.Typer(
    name="tftrace",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Where the time of model.predict goes, Keras layer by layer, beside the multiplications.",
    epilog="Errors exit with code 2 and one line on stderr; --debug shows the traceback.",
)

for _command in (
    run,
    report,
    export,
    scan,
    count,
    compare,
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
        print("tftrace: " + record.getMessage(), file=sys.stderr)


def main() -> None:
    """Run the command line: exit code 2 and one line on stderr for what the user can mend."""
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
    signal.signal(signal.SIGTERM, _terminated)
    signal.signal(signal.SIGINT, _interrupted)
    try:
        app()
    except TftraceError as error:
        if debugging():
            raise
        # One line, whatever the message quotes.
        print("tftrace: " + " ".join(str(error).split()), file=sys.stderr)
        sys.exit(2)
    finally:
        if hasattr(signal, "setitimer"):
            signal.setitimer(signal.ITIMER_REAL, 0)


def _terminated(*_: object) -> None:
    _leave(128 + signal.SIGTERM)


def _interrupted(*_: object) -> None:
    print("tftrace: interrupted; no half-written run is left", file=sys.stderr)
    _leave(128 + signal.SIGINT)


def _leave(code: int) -> NoReturn:
    """Raise SystemExit, which passes the clean-up that takes half-written runs away.

    Native code that calls Python may swallow it; so it is raised again, until something is on
    its way out.
    """

    def again(*_: object) -> None:
        if not _leaving(sys.exc_info()[1]):
            raise SystemExit(code)

    if hasattr(signal, "setitimer"):
        signal.signal(signal.SIGALRM, again)
        signal.setitimer(signal.ITIMER_REAL, 0.5, 0.5)
    raise SystemExit(code)


def _leaving(error: BaseException | None) -> bool:
    while error is not None and not isinstance(error, SystemExit):
        error = error.__context__
    return error is not None
