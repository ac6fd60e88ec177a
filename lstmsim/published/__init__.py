"""The published examples: their random stream, data and printed figures.

"LSTM as a Dynamical System" (G. Campa, 2022-2024) is a MATLAB and Simulink example.  Its
figures are facts that this package is measured against; none of its text, code or models is
here.  `chaotic_lstm` is from a paper of its own.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
