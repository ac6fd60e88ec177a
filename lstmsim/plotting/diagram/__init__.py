"""The drawing of a block diagram: blocks placed, wires routed, symbols drawn."""
