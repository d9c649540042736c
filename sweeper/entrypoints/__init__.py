"""The ways to start a run, and what wires its parts together."""
