"""What can be wrong with a trace file. All are `TraceError`, and so `ValueError`."""

from __future__ import annotations


class TraceError(ValueError):
    """A trace cannot be read; the message says why and where."""


class EmptyTrace(TraceError):
    """The file has no bytes: the profiler made it and then failed to fill it."""

    def __init__(self, source: str) -> None:
        super().__init__(
            f"{source} is empty (0 bytes): the capture failed before anything was written; "
            "capture again"
        )


class TruncatedTrace(TraceError):
    """The file ends in the middle of a message: the copy or the capture was cut off.

    Attributes:
        byte: offset at which the data ends.
        events: how many whole events lie before it.
    """

    def __init__(self, byte: int, events: int) -> None:
        super().__init__(f"truncated at byte {byte}, {events} events read")
        self.byte = byte
        self.events = events


class MalformedTrace(TraceError):
    """The bytes are not an XSpace.

    Attributes:
        byte: offset of the field that makes no sense.
    """

    def __init__(self, byte: int, reason: str) -> None:
        super().__init__(f"not a valid XSpace: {reason} at byte {byte}")
        self.byte = byte


class OversizedTrace(TraceError):
    """The file describes far more things than any profiler packs into its bytes.

    Reading it would take memory and time out of all proportion to its size.
    """

    def __init__(self, size: int) -> None:
        super().__init__(
            f"not a trace of a profiler: {size} bytes describe so many planes, lines, names and "
            "events that reading them would take many times the file's size in memory"
        )


class ChangedTrace(TraceError):
    """Another process wrote to the file while it was read."""

    def __init__(self, source: str) -> None:
        super().__init__(
            f"{source} changed while it was read: wait until its capture or copy is done"
        )
