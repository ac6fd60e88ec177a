"""bdsim diagrams: made, wired, checked, read from and written to files, and their traces.

`host` is the only caller of bdsim's runtime; `structure` knows names, clocks and wires; `wiring`
turns definitions into blocks; `models` reads and writes model files and workspaces.
What a run is given is checked in `inputs`, and what it returns is labelled in `traces`.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
