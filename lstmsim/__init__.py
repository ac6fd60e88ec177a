"""lstmsim: see, run and check an LSTM as a block diagram with two feedback loops.

>>> import lstmsim as ls
>>> network, u = ls.published.layer_example()
>>> traces = ls.simulate(ls.build(network), u)
>>> ls.check(traces, ls.reference(network, u, dtype="float32")).ok
True
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
