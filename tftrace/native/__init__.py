"""Compiled loops and nothing else: the compiler, its cache, the loops."""
