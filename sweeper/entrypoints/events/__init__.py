"""Runs about events, between sweeps: the same engine, a narrower plan."""
