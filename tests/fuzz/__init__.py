"""Fuzzers of what sweeper reads: `python -m tests.fuzz --examples 10000` runs them long."""
