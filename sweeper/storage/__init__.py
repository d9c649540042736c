"""What outlives a process: journals, the lease, earlier reports and histories."""
