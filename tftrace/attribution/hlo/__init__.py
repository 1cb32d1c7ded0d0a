"""Kernels that XLA compiled: what each HLO instruction does the work of."""
