"""Figures, made with matplotlib."""

from lstmsim.plotting.signals import picture_endings as picture_endings
from lstmsim.plotting.signals import plot as plot
from lstmsim.plotting.signals import plot_difference as plot_difference
from lstmsim.plotting.signals import save_plot as save_plot
