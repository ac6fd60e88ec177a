"""Stability certificates of LSTM networks: what is proved for all inputs within a bound.

Sufficient conditions, computed from the weights alone: `stability` has them and their proof.
"""
