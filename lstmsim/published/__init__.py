"""The published examples: their random stream, data and printed figures.

"LSTM as a Dynamical System" (G. Campa, 2022-2024) is a MATLAB and Simulink example.  Its
figures are facts that this package is measured against; none of its text, code or models is
here.  `chaotic_lstm` is from a paper of its own.
"""

from lstmsim.published.chaos import chaotic_lstm as chaotic_lstm
from lstmsim.published.layer import LAYER_OUTPUT as LAYER_OUTPUT
from lstmsim.published.layer import layer_example as layer_example
from lstmsim.published.layer import layer_workspace as layer_workspace
from lstmsim.published.random import MatlabRandom as MatlabRandom
from lstmsim.published.system import published_system as published_system
