"""The stages of a distributed sweep: start, scan, plan, apply and finish.

Each is a process of its own, and can be run again. `stages` has them, `opening` what they begin
with. See docs/decisions/0047-distributed-sweep.md.
"""
