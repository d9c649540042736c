"""What a sweep costs beside the alternatives, on the same work, in one run.

`python -m benchmarks --help` lists the scenarios. The AWS that all contenders ask is the tests'
fake endpoint, in a process of its own that is not measured; each contender is a process too, so
that its start-up counts. Who found anything but the truth is marked, and its row proves nothing.
"""
