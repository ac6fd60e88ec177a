"""lstmsim: see, run and check an LSTM as a block diagram with two feedback loops.

>>> import lstmsim as ls
>>> network, u = ls.published.layer_example()
>>> traces = ls.simulate(ls.build(network), u)
>>> ls.check(traces, ls.reference(network, u, dtype="float32")).ok
True
"""

from lstmsim import errors as errors
from lstmsim import lti as lti
from lstmsim import published as published
from lstmsim import training as training
from lstmsim._version import __version__ as __version__
from lstmsim.analysis import analyze as analyze
from lstmsim.analysis import save_analysis as save_analysis
from lstmsim.checker import check as check
from lstmsim.engine.compiled import compile as compile
from lstmsim.gains import gradient_flow as gradient_flow
from lstmsim.gains import loop_gains as loop_gains
from lstmsim.host import blockdiagram as blockdiagram
from lstmsim.layers import build as build
from lstmsim.layers import lstm_layer as lstm_layer
from lstmsim.linearize import fixed_points as fixed_points
from lstmsim.linearize import linearize as linearize
from lstmsim.loops import loops as loops
from lstmsim.lyapunov import lyapunov as lyapunov
from lstmsim.models import load as load
from lstmsim.models import model_path as model_path
from lstmsim.models import save as save
from lstmsim.networks import LSTM as LSTM
from lstmsim.networks import Dense as Dense
from lstmsim.networks import Network as Network
from lstmsim.plotting import plot as plot
from lstmsim.plotting import plot_attractor as plot_attractor
from lstmsim.plotting import plot_diagram as plot_diagram
from lstmsim.plotting import plot_difference as plot_difference
from lstmsim.plotting import plot_gradient_flow as plot_gradient_flow
from lstmsim.plotting import plot_history as plot_history
from lstmsim.plotting import plot_loop_gains as plot_loop_gains
from lstmsim.plotting import plot_lyapunov as plot_lyapunov
from lstmsim.plotting import plot_poles as plot_poles
from lstmsim.plotting import save_plot as save_plot
from lstmsim.reference_traces import reference as reference
from lstmsim.simulate import simulate as simulate
from lstmsim.stability import stability as stability
from lstmsim.tracefiles import load_traces as load_traces
from lstmsim.tracefiles import save_traces as save_traces
from lstmsim.training.fit import fit as fit
from lstmsim.training.options import TrainingOptions as TrainingOptions
from lstmsim.training.result import TrainingResult as TrainingResult
from lstmsim.workspaces import load_input as load_input
from lstmsim.workspaces import load_workspace as load_workspace
from lstmsim.workspaces import network_from_workspace as network_from_workspace
from lstmsim.workspaces import save_workspace as save_workspace
