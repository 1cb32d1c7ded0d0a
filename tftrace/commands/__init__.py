"""The commands behind ``tftrace.cli``: options in, calls of the library, output."""
