"""The checks: one file each, with its IAM actions, its facts, its judgement and its remedy.

A module here that has a `CHECK` is a check; nothing else names it. A check is a class with the
attributes and methods of `sweeper.ports.Check`, made with (registry, config, today).
"""
