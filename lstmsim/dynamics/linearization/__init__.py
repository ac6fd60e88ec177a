"""Exact linearization: a diagram's Jacobians, composed block by block, and its fixed points.

`step` computes all samples at once from the outputs of delays and sources; `jacobian` has the
blocks' own Jacobians, from the operations' pullbacks; `compose` multiplies them along the diagram.
"""
