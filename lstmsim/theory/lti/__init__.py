"""Linear systems as networks, and networks as linear systems: python-control's objects.

>>> import lstmsim as ls
>>> system = ls.lti.published_system()
>>> network = ls.lti.approximate(system)
>>> ls.lti.extract(network).nstates
5
"""

from lstmsim.published import published_system as published_system
from lstmsim.theory.lti.approximate import approximate as approximate
from lstmsim.theory.lti.extract import extract as extract
from lstmsim.theory.lti.linearity import linearity as linearity
from lstmsim.theory.lti.report import Linearity as Linearity
