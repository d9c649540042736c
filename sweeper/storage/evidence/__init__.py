"""The evidence of a run: the facts and the verdict of every repository, as JSON lines.

`log` writes the lines; `file` is the compressed file, which may be of an interrupted process.
"""
