"""Loop gains and the flow of gradients along a run, read off the exact linearization.

`loops` has each delay's own loop and the whole step; `flow` what a change does over one sample and
over many; `products` multiplies many Jacobians without overflow.
"""
