"""Bytes to columns: XSpace traces, HLO metadata, per-op timing."""
