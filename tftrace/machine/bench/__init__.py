"""Micro-benchmarks: single kernels of many shapes, run through TensorFlow."""
