"""Feedback loops of a diagram."""
