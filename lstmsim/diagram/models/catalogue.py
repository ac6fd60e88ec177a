"""The blocks that model files may have, with their parameters there."""

from __future__ import annotations

from lstmsim.blocks import KINDS

#: The parameters in model files of the blocks that they may have, by the blocks' kinds.
BLOCKS = {kind.name: kind.file for kind in KINDS.values() if kind.file is not None}

#: Blocks that users expect, and their replacements.
INSTEAD = {
    "PROD": "HADAMARD: bdsim's PROD multiplies vectors as matrices",
    "FUNCTION": "blocks of the list: a model file cannot hold a Python function",
    "INTERPOLATE": "FROMWORKSPACE with the samples themselves",
    "SUBSYSTEM": "the blocks in place: sampled blocks cannot be in a subsystem",
}
#: Entries of a model file that are no blocks of the diagram.
SKIPPED = frozenset({"MAIN", "CONNECTOR"})
