"""Everything that is known of a diagram as a dynamical system, in one call and one folder."""

from lstmsim.analysis.report import Analysis as Analysis
from lstmsim.analysis.report import Part as Part
from lstmsim.analysis.run import analyze as analyze
from lstmsim.analysis.writing import save_analysis as save_analysis
