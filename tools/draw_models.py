"""Draw the README's pictures of the model files with bdedit, without a screen.

Needs the extra `editor`.  SVG is what bdedit draws reliably this way.

    python tools/draw_models.py
"""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path

from lstmsim.cli.editor import edit

ROOT = Path(__file__).parents[1]


def draw(model: Path, picture: Path) -> None:
    """Draw one model; the block that only starts a script is left out."""
    content = json.loads(model.read_text(encoding="utf-8"))
    content["blocks"] = [b for b in content["blocks"] if b["block_type"] != "MAIN"]
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / model.name
        copy.write_text(json.dumps(content), encoding="utf-8")
        picture.unlink(missing_ok=True)
        # bdedit sometimes fails after it has written the picture: the file is what counts.
        edit(copy, "--print", str(picture))
    if not picture.exists() or "</svg>" not in picture.read_text(encoding="utf-8"):
        raise SystemExit(f"bdedit did not draw {model.name}")


def main() -> None:
    """Draw all shipped models."""
    os.environ["QT_QPA_PLATFORM"] = "offscreen"
    for model in sorted((ROOT / "diagrams").glob("*.bd")):
        draw(model, ROOT / "docs" / "images" / f"{model.stem}.svg")


if __name__ == "__main__":
    main()
