"""The commands: one file each.

A module here that has a `COMMAND` is a command; nothing else names it. What a command needs is
imported when it is run, so that --help is quick.
"""
