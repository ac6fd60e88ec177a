"""``python -m lstmsim``: the command line."""

from lstmsim.cli import main

if __name__ == "__main__":
    main()
