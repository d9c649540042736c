"""The stages of a run, over ports: the sweep, its changes, the undo and the preflight."""
