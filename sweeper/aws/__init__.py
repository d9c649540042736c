"""Everything that speaks to AWS. No response of the SDK leaves this package."""
