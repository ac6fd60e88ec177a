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


#: What an example prints, by a call in it that no other example has.
PRINTED = {
    "ls.check(": ["All 29 signals agree", "0.0"],
    "loss_and_gradient(": ["(3, 3)"],
    "ls.loops(": ["c_prev → fc → c → c_prev"],
    "ls.lyapunov(": ["1 fixed point: 1 stable", "dt = 0.1", "positive: nearby runs part"],
    "ls.stability(": ["two runs with the same input come together"],
    "ls.lti.approximate(": ["Errors of at most this size in float32"],
    "ls.fit(": ["largest change", "1,000 epochs"],
    "ls.save(": [],
}


@pytest.mark.parametrize("call", PRINTED)
def test_the_python_examples_run(call: str, tmp_path: Path) -> None:
    (example,) = (text for text in EXAMPLES if call in text)
    out = io.StringIO()
    before = Path.cwd()
    os.chdir(tmp_path)
    try:
        with contextlib.redirect_stdout(out):
            exec(compile(example, "README.md", "exec"), {})
    finally:
        os.chdir(before)
    printed = " ".join(out.getvalue().split())
    for words in PRINTED[call]:
        assert words in printed
    _, _, after = README.partition(f"```python\n{example}```\n")
    if after.startswith("\n```\n"):  # the README shows what it prints
        assert after.split("```")[1].strip() in out.getvalue()


def test_every_example_is_run_and_the_first_is_short() -> None:
    assert len(PRINTED) == len(EXAMPLES)
    assert len(EXAMPLES[0].strip().splitlines()) <= 10


def test_the_pictures_are_there() -> None:
    for file in re.findall(r"!\[.*?\]\((.*?)\)", README, re.DOTALL):
        assert (ROOT / file).stat().st_size > 10_000, file


def test_the_changelog_has_the_version() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    import lstmsim

    assert lstmsim.__version__ == version
    assert f"## {version}" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
