"""`python -m drumsep`."""

from drumsep.cli.app import main

main()
