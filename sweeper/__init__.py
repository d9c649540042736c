"""Audit and remediate ECR image tag mutability across an AWS organization."""

__version__ = "0.1.0"
