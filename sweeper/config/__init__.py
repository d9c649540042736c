"""The configuration: its schema, where each value comes from, and how it is shown."""
