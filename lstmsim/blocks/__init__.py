"""The block library that bdsim discovers with ``BDSim(packages="lstmsim")``.

One file a block.  bdsim reads these files as text: a class belongs to the library if a base
of its own is named ``…Block``; files whose name starts with an underscore are passed over.
Each class has the operation of `lstmsim.blocks._ops` that it is the bdsim face of as `op`, and
`op_parameters` returns that operation's parameters.  ``:param x: … :type x:`` pairs in
``__init__`` are what bdedit learns a block's parameters from.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
