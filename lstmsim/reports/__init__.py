"""Long jobs that end in tables, figures and a folder.

`demo` runs the published example, `analysis` reads one diagram in every way there is, `study`
computes the published example again step by step, and `bench` times the engines beside other
libraries.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
