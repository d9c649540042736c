"""Fuzzers of what sweeper reads: `make fuzz` runs them at length."""
