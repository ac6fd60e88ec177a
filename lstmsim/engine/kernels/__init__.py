"""Kernels: text generated from a schedule, compiled by numba, and the arrays that they work on."""
