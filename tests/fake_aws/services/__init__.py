"""One module for each AWS service; an operation is one decorated function."""
