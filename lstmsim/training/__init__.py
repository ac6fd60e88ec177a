"""Training: any diagram that compiles, by following the gradient of its loss."""

from lstmsim.training.fit import fit as fit
from lstmsim.training.interrupts import TrainingInterrupted as TrainingInterrupted
from lstmsim.training.optimizers import SGD as SGD
from lstmsim.training.optimizers import Adam as Adam
from lstmsim.training.optimizers import RMSProp as RMSProp
from lstmsim.training.options import TrainingOptions as TrainingOptions
from lstmsim.training.result import TrainingResult as TrainingResult
from lstmsim.training.schedules import Constant as Constant
from lstmsim.training.schedules import Cosine as Cosine
from lstmsim.training.schedules import Piecewise as Piecewise
