"""A report in words, in files, and at its destinations."""
