"""Feedback loops of a diagram."""

from lstmsim.loops.report import Loop as Loop
from lstmsim.loops.report import LoopGroup as LoopGroup
from lstmsim.loops.report import LoopReport as LoopReport
from lstmsim.loops.search import flat as flat
from lstmsim.loops.search import loops as loops
from lstmsim.loops.search import loops_of_wires as loops_of_wires
