"""``python -m tftrace``, and the console script: signals are heeded before anything is imported."""

from tftrace.commands.signals import leave_at_once


def main() -> None:
    """The command line."""
    leave_at_once()
    from tftrace.cli import main as run

    run()


if __name__ == "__main__":
    main()
