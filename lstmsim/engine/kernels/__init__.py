"""Kernels: text generated from a schedule, compiled by numba, and the arrays they work on.

    stage -> layout, render, adjoint (text) -> vocabulary, vectors -> cache (compiled, on disk)
          -> plan, packing (where numbers live) -> program -> forward, backward

`render` and `adjoint` write a loop's kernel, forward and backward; `cache` compiles text and
keeps it on disk; `plan` and `packing` put sizes and parameters where the kernels read them;
`forward` and `backward` are the calls of one run and of its gradient.
"""
