"""lstmsim: see, run and check an LSTM as a block diagram with two feedback loops."""

__version__ = "0.1.0"

from lstmsim import errors as errors
from lstmsim import published as published
from lstmsim.host import blockdiagram as blockdiagram
from lstmsim.layers import build as build
from lstmsim.layers import lstm_layer as lstm_layer
from lstmsim.networks import LSTM as LSTM
from lstmsim.networks import Dense as Dense
from lstmsim.networks import Network as Network
from lstmsim.simulate import reference as reference
from lstmsim.simulate import simulate as simulate
from lstmsim.models import load as load
from lstmsim.models import model_path as model_path
from lstmsim.models import save as save
