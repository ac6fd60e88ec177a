"""Figures, made with matplotlib.

`diagram` draws block diagrams; the other modules plot traces and results computed from them.
Every figure has the look of `style`.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
