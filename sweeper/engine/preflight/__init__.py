"""Check what a sweep could not do, before the sweep."""
