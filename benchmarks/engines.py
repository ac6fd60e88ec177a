"""The engines beside other libraries: `lstmsim bench`, with its options.

python benchmarks/engines.py --quick
"""

from __future__ import annotations

import sys

from lstmsim.cli import main

if __name__ == "__main__":
    sys.argv.insert(1, "bench")
    main()
