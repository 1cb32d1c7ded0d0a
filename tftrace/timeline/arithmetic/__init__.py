"""Arithmetic of intervals and groups; knows no trace."""
