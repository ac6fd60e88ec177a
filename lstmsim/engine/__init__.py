"""The engine: any discrete diagram, compiled, run, and differentiated.

    diagram -> graph -> schedule -> interpreter (NumPy: the meaning of the kernels)
                                 -> layout, render, adjoint (text) -> lanes, vectors
                                 -> plan, packing -> program, backward

It has no knowledge of layers.  `graph` lowers blocks to the operations of `lstmsim.blocks._ops`;
`schedule` derives what has to step through time; `render` and `adjoint` write a loop's kernel
as text, forward and backward; `lanes` compiles text and keeps it on disk; `plan` and `packing`
put sizes and parameters where the kernels read them; `program` runs a schedule with kernels, and
`backward` walks it back; `compiled` is what users hold.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
