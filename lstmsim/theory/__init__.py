"""Proofs and calculations for the LSTM layer alone, from its weights.

`certificates` holds the sufficient conditions for stability and their proof.
`lti` turns linear systems into networks and networks into linear systems.
Nothing here needs a diagram.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
