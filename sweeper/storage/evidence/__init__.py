"""The evidence of a run: what was read of every repository, and its verdict, as JSON lines.

`file` has the file of gzip members, and reads what an interrupted process left in one; `log` has
the lines.
"""
