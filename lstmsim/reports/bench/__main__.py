"""The process that measures: settings in, figures out, a line of JSON each."""

from __future__ import annotations

import json
import os
import shutil
import sys
import threading
from pathlib import Path
from typing import Any

from lstmsim.base import LstmsimError
from lstmsim.reports.bench.measuring import measure_all
from lstmsim.reports.bench.settings import Settings


def _end_with_the_parent(folder: str) -> None:
    sys.stdin.read()
    shutil.rmtree(folder, ignore_errors=True)
    os._exit(1)


def main() -> None:
    """Read settings from the first line of the standard input, measure, and say the figures."""
    # What libraries print goes to the standard error: the output is the parent's alone.
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    settings = Settings.of(json.loads(sys.stdin.readline()))
    threading.Thread(target=_end_with_the_parent, args=sys.argv[1:], daemon=True).start()

    def say(content: dict[str, Any]) -> None:
        print(json.dumps(content), file=answers, flush=True)

    try:
        report = measure_all(settings, Path(sys.argv[1]), lambda text: say({"doing": text}))
    except LstmsimError as error:
        say({"error": str(error)})
    except MemoryError:
        say({"error": "there is not enough memory for this measurement"})
    else:
        say({"report": json.loads(report.to_json())})


if __name__ == "__main__":
    main()
