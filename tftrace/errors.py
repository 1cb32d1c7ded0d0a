"""What can go wrong in a way that the user can mend."""


class TftraceError(Exception):
    """A failure with one line that says what to do; the command line exits with code 2."""


class TftraceWarning(UserWarning):
    """The caller's program goes on, but without what tftrace was to do; the text says why."""
