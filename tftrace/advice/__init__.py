"""Findings, folding, comparison, estimation."""
