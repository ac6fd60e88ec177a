"""Definitions of networks, and the reference that their diagrams are checked against.

Definitions are frozen and validated; they know nothing of how a diagram is wired.
`reference` spells the equations out once more, imports NumPy alone, and shares no code with
the rest of the package.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
