"""The ground floor: errors, checks of arrays, reports and files.

Every other room uses it, and it uses none: it knows neither bdsim nor any layer.
An error carries what was given, what was expected, where, and how to mend it.
Whatever is written is written whole or not at all.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
