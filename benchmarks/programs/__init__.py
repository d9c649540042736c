"""The contenders that are written here; each is a script that prints its counts as JSON."""
