"""Measured peaks of this machine."""
