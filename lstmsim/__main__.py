"""``python -m lstmsim``: the command line."""

from lstmsim.cli import main

main()
