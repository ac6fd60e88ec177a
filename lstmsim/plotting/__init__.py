"""Figures, made with matplotlib."""

from lstmsim.plotting.diagram import plot_diagram as plot_diagram
from lstmsim.plotting.signals import plot as plot
from lstmsim.plotting.signals import plot_difference as plot_difference
from lstmsim.plotting.style import PICTURE_ENDINGS as PICTURE_ENDINGS
from lstmsim.plotting.style import save_plot as save_plot
