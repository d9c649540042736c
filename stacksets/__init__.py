"""The CloudFormation templates, and what deploys the member role's StackSet."""
