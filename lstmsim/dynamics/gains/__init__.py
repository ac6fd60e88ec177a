"""Loop gains and the flow of gradients along a run, read off the exact linearization.

`loops` has the gains of each delay's own loop and of the whole step; `flow` has the derivatives
over one sample and over many; `products` multiplies many Jacobians without overflow.
"""
