"""The engine: any discrete diagram, compiled, run, differentiated, checked and written as C.

    diagram -> graph -> schedule -> interpreter (NumPy: the meaning of the kernels)
                                 -> kernels/   (generated text, compiled by numba)

It has no knowledge of layers.  `graph` lowers blocks to the operations of the block library;
`schedule` derives what has to step through time; `kernels` writes a loop's kernel as text,
forward and backward, compiles it, and lays out the arrays that it works on.  `compiled` is what
users hold.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
