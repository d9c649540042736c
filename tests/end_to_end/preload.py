"""What the server of processes imports before it forks: every module of sweeper."""

from __future__ import annotations

import gc
import importlib
import pkgutil

import sweeper

for _each in pkgutil.walk_packages(sweeper.__path__, "sweeper."):
    if not _each.name.endswith(("__main__", ".vendor")):
        importlib.import_module(_each.name)
# What is imported stays: a collection in a forked process would only copy its pages.
gc.collect()
gc.freeze()
