"""The checks: one file each, with its IAM actions, its facts, its judgement and its remedy.

A module here that has a `make_check` is a check; nothing else names it.
"""
