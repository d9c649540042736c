"""What the server of processes does before it forks: it imports sweeper and reads AWS's models.

A forked process then reads no model from disk. Where models come from is tested with the command
itself, which starts an interpreter.
"""

from __future__ import annotations

import functools
import gc
import importlib
import pkgutil

import aws_lambda_powertools.metrics  # noqa: F401 (sweeper imports it where it counts)
import botocore.session

import sweeper

for _each in pkgutil.walk_packages(sweeper.__path__, "sweeper."):
    if not _each.name.endswith(("__main__", ".vendor")):
        importlib.import_module(_each.name)

botocore.session.create_loader = functools.cache(botocore.session.create_loader)
_session = botocore.session.Session()
for _service in ("sts", "organizations", "account", "ecr", "ec2", "s3", "sns"):
    _session.create_client(_service, "us-east-1", aws_access_key_id="", aws_secret_access_key="")

# All of this stays: a collection in a forked process would only copy its pages.
gc.collect()
gc.freeze()
