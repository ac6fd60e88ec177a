"""Stability certificates of LSTM networks: proofs that hold for all inputs within a bound.

Sufficient conditions, computed from the weights alone: `stability` has them and their proof.
"""
