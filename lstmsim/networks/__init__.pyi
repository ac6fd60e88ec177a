from .network import GATES as GATES
from .network import LSTM as LSTM
from .network import Dense as Dense
from .network import Network as Network
from .network import check_layer_name as check_layer_name
from .reference import network_signals as network_signals
