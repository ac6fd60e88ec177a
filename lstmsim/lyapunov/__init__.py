"""Lyapunov exponents: how fast nearby runs part, or meet."""

from lstmsim.lyapunov.report import LyapunovSpectrum as LyapunovSpectrum
from lstmsim.lyapunov.spectrum import lyapunov as lyapunov
