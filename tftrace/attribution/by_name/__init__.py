"""Traces of other programs: layers matched by the names of operations."""
