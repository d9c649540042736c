"""`python -m sweeper`."""

from sweeper.entrypoints.cli.main import main

main()
