"""Model files: diagrams in bdedit's `.bd` format, with parameters over a workspace.

A parameter of a model file is a value, or an expression that begins with ``=`` and is
evaluated over a workspace (`expressions`), so that one file serves networks of all
sizes.  bdsim's own loader hands every text to `eval`; here no text of a file is evaluated by
anything but this package's own small evaluator, and whatever is not understood is refused by
name.
"""
