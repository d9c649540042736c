"""The journal of a run: a line of JSON for each thing that has happened, as soon as it has.

Whoever comes after a process that was killed knows from it what that process did, and
`--resume` goes on from there. `lines` is the format, `file` the local file, `run` what
a sweep writes to.
"""
