"""Run the command line from a checkout: `python -m services.cli`."""

from services.cli.main import main

main()
