"""The preflight's answers, for people and programs."""
