"""Figures, made with matplotlib."""

from lstmsim.plotting.attractors import plot_attractor as plot_attractor
from lstmsim.plotting.attractors import plot_lyapunov as plot_lyapunov
from lstmsim.plotting.diagram import plot_diagram as plot_diagram
from lstmsim.plotting.dynamics import plot_gradient_flow as plot_gradient_flow
from lstmsim.plotting.dynamics import plot_loop_gains as plot_loop_gains
from lstmsim.plotting.poles import plot_poles as plot_poles
from lstmsim.plotting.signals import plot as plot
from lstmsim.plotting.signals import plot_difference as plot_difference
from lstmsim.plotting.style import PICTURE_ENDINGS as PICTURE_ENDINGS
from lstmsim.plotting.style import save_plot as save_plot
from lstmsim.plotting.training import plot_history as plot_history
