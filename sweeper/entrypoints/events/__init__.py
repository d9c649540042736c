"""What events name, examined between sweeps: the same engine, a narrower plan."""
