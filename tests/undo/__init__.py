"""Undoing what a run changed."""
