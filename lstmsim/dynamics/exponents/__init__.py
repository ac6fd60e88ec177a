"""Lyapunov exponents: how fast nearby runs part, or meet."""
