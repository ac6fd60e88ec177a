"""Readings of any diagram as a dynamical system.

`feedback` finds the loops, `linearization` the exact Jacobians and the fixed points.
`gains` follows loop gains and gradients along a run, `exponents` how fast nearby runs part.
Nothing here knows a kind of layer.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
