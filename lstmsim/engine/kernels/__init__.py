"""Kernels: text generated from a schedule, compiled by numba, and the arrays they work on.

    stage -> phases, buffers (slots) -> render, adjoint (text) -> cache (compiled, on disk)
          -> buffers, packing (where numbers live) -> program -> forward, backward

`render` and `adjoint` write a loop's kernel, forward and backward, over the vocabulary of words in
`vocabulary` and `vectors`; `cache` compiles text and keeps it on disk; `keys` say what the numbers
are that a text reads, `buffers` and `packing` where signals and parameters live; `program` is all
kernels of a diagram, `forward` and `backward` are the calls of one run and of its gradient.
"""
