"""Audit and remediate ECR image tag mutability across an AWS organization."""
