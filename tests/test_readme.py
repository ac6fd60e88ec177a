"""What the README tells a newcomer to type, and shows."""

from __future__ import annotations

import contextlib
import io
import os
import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"<!-- example -->\n```python\n(.*?)```", README, re.DOTALL)


def block_after(marker: str) -> str:
    return re.search(rf"<!-- {marker} -->\n```sh\n(.*?)```", README, re.DOTALL).group(1)


@pytest.mark.parametrize("marker", ["run", "test"])
def test_each_command_is_one_line_that_makes_its_own_environment(marker: str) -> None:
    command = block_after(marker)
    assert command.count("\n") == 1
    assert command.startswith("python3 -m venv ")


def test_the_readme_has_its_examples() -> None:
    assert len(EXAMPLES) == 4
    assert len(EXAMPLES[0].strip().splitlines()) <= 10


@pytest.mark.parametrize(
    "example", EXAMPLES, ids=["build and check", "compile", "loops", "wire by hand"]
)
def test_the_python_examples_run(example: str, tmp_path: Path) -> None:
    out = io.StringIO()
    before = Path.cwd()
    os.chdir(tmp_path)
    try:
        with contextlib.redirect_stdout(out):
            exec(compile(example, "README.md", "exec"), {})
    finally:
        os.chdir(before)
    if "ls.loops" in example:
        shown = README.split("<!-- example -->\n" + f"```python\n{example}```\n\n```\n")[1]
        assert shown.split("```")[0] in out.getvalue()
        assert (tmp_path / "loops.svg").stat().st_size > 10_000
    elif "report" in example:
        assert out.getvalue().startswith("All 29 signals agree"), out.getvalue()
        assert out.getvalue().strip().endswith("0.0")
    elif "compiled" in example:
        assert out.getvalue().splitlines()[-1].endswith("(3, 3)")
    else:
        assert (tmp_path / "mine.bd").exists()


def test_the_pictures_are_there() -> None:
    for file in re.findall(r"!\[.*?\]\((.*?)\)", README, re.DOTALL):
        assert (ROOT / file).stat().st_size > 10_000, file


def test_the_changelog_has_the_version() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    import lstmsim

    assert lstmsim.__version__ == version
    assert f"## {version}" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
