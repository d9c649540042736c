"""The values and rules of a sweep: pure, without I/O."""
