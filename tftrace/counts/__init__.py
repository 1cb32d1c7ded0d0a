"""Multiplications, MACs, FLOPs and bytes: one formula per op type."""
