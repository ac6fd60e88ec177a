"""Figures, made with matplotlib."""

from lstmsim.plotting.signals import plot as plot
from lstmsim.plotting.signals import plot_difference as plot_difference
from lstmsim.plotting.style import PICTURE_ENDINGS as PICTURE_ENDINGS
from lstmsim.plotting.style import save_plot as save_plot
from lstmsim.plotting.training import plot_history as plot_history
