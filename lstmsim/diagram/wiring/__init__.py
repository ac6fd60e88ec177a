"""Wiring: definitions become blocks in a bdsim diagram, one file a kind of layer."""
