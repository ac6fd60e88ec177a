"""The study: its steps' figures, its report, and what the command does when they disagree."""

from __future__ import annotations

import base64
import dataclasses
import json
import os
import re
from collections.abc import Callable
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pytest

import lstmsim as ls
from lstmsim.base.files import folder_written_whole
from lstmsim.published import system as printed_system
from lstmsim.published import training as printed
from lstmsim.published.random import MatlabRandom
from lstmsim.reports.study import linear
from lstmsim.reports.study.facts import Section, claim, digits
from lstmsim.reports.study.plan import Settings, make_plan
from lstmsim.reports.study.run import STEPS, Study, run_study, save_study
from tests.conftest import Outcome

Cli = Callable[..., Outcome]

#: As little as shows every step.
TINY = Settings(
    epochs=40,
    scales_per_decade=1,
    basin_epochs=5,
    rates=3,
    starts_epochs=5,
    starts=2,
    drops_epochs=5,
    drops=3,
    search_epochs=4,
    race_epochs=6,
)
SYSTEM = ls.lti.published_system()
EXAMPLE = printed.training_example(2)


@pytest.fixture(scope="module")
def study() -> Study:
    return run_study(TINY)


@pytest.fixture(scope="module")
def saved(study: Study, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("study")
    save_study(study, folder)
    return folder


def all_hold(section: Section) -> None:
    for fact in section.facts:
        print(fact)
    assert all(fact.ok for fact in section.facts)


def test_the_random_numbers_are_drawn_in_the_published_order() -> None:
    random = MatlabRandom(0)
    for shape in ((3, 1), (3, 1), (12, 4), (12, 3), (12, 1), (2, 3)):
        random.rand(*shape)
    random.randn(51, 4)
    np.testing.assert_array_equal(EXAMPLE.validation, random.randn(51, 1))
    np.testing.assert_array_equal(EXAMPLE.u, random.randn(1001, 1))
    random.rand()
    for start in EXAMPLE.starts:
        layer = start.recurrent[0]
        np.testing.assert_array_equal(layer.W, random.rand(20, 1))
        np.testing.assert_array_equal(layer.R, random.rand(20, 5))
        np.testing.assert_array_equal(layer.b, random.rand(20, 1)[:, 0])
        np.testing.assert_array_equal(start.head.F, random.rand(1, 5))
        assert start.head.bias is None
        assert not layer.h0.any()
        assert not layer.c0.any()


def test_every_figure_that_no_training_changes_agrees() -> None:
    plan = make_plan(TINY)
    for step in STEPS:
        all_hold(step(plan))


def test_the_starting_losses_are_those_of_the_reference() -> None:
    y = linear.response(SYSTEM, EXAMPLE.u)
    losses = []
    for network in (ls.lti.approximate(SYSTEM), EXAMPLE.starts[0]):
        z = ls.reference(network, EXAMPLE.u).y.values[:, 0]
        losses.append(float(np.mean((z - y) ** 2)))
    print(losses)
    assert [f"{loss:.4g}" for loss in losses] == ["0.002488", "60.7"]


def test_the_target_is_the_linear_system_s_output() -> None:
    x, rows = np.zeros(4), []
    for sample in EXAMPLE.u[:200]:
        rows.append(float((SYSTEM.C @ x)[0]))
        x = SYSTEM.A @ x + SYSTEM.B @ sample
    np.testing.assert_allclose(linear.response(SYSTEM, EXAMPLE.u[:200]), rows, atol=1e-12)


def test_the_first_epochs_of_training_have_the_published_shape(study: Study) -> None:
    assert study.ok, study.summary
    facts = {fact.name: fact for fact in study.facts}
    assert facts["the least loss is at the start"].ok is True
    assert facts["only the gate g and F move visibly"].ok is True
    # Of fewer epochs than published nothing is asked that takes all of them.
    assert facts["the loss falls by a factor of at least 500"].ok is None
    starts = [fact.obtained for fact in study.facts if fact.name == "loss (MSE) at the start"]
    assert starts == ["0.0024886", "60.699"]


def test_the_report_has_every_step_its_figure_and_the_table(study: Study, saved: Path) -> None:
    names = [section.name for section in study.sections]
    assert len(names) == 14
    files = {"report.md", "report.html", "study.json", *(f"{name}.png" for name in names)}
    assert set(os.listdir(saved)) == files
    text = (saved / "report.md").read_text(encoding="utf-8")
    page = (saved / "report.html").read_text(encoding="utf-8")
    assert "| figure | published | obtained | agrees to | ok |" in text
    for section in study.sections:
        assert f"]({section.name}.png)" in text
        assert f'<h2 id="{section.name}">' in page
        for fact in section.facts:
            assert f"| {fact.name.replace('|', chr(92) + '|')} | {fact.published} |" in text
    inside = re.findall(r'src="data:image/png;base64,([^"]+)"', page)
    pictures = [(saved / f"{name}.png").read_bytes() for name in names]
    assert [base64.b64decode(data) for data in inside] == pictures
    assert "http" not in page  # it needs nothing from anywhere
    assert json.loads((saved / "study.json").read_text())["ok"] is True


def test_figures_are_closed_after_they_are_saved(saved: Path) -> None:
    assert saved.exists()
    assert plt.get_fignums() == []


def test_printed_digits_decide() -> None:
    assert digits("x", 7.5351, 7.53514, 4).ok is True
    assert digits("x", 7.5351, 7.53516, 4).ok is False
    assert digits("x", [1.0, 2.0], [1.0, 2.1], 1).agreement == "off by 1.0e-01"
    assert digits("x", 0.0, -1e-17, 0).ok is True
    assert digits("x", [1.0, 2.0], [1.0], 1).ok is False
    assert claim("x", "", "", np.bool_(False)).ok is False
    assert claim("x", "", "", False, checked=False).ok is None


def test_a_figure_that_does_not_agree_is_named_and_fails(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lstmsim.reports.QUICK", TINY)
    monkeypatch.setattr(printed_system, "STEADY_STATE_GAIN", 7.5361)
    done = cli("study", "--quick")
    assert (done.status, done.err) == (1, "")
    counted = re.search(r"(\d+) of (\d+) figures agree as they should", done.out)
    assert int(counted[2]) - int(counted[1]) == 2
    assert "lstmsim-study/report.html" in done.out
    text = Path("lstmsim-study/report.md").read_text(encoding="utf-8")
    missed = "steady-state gain: published 7.5361, obtained 7.5351"
    assert missed in done.out
    assert missed in text
    assert "| 7.5361 | 7.5351 | off by 9.9e-04 | NO |" in text
    assert Path("lstmsim-study/report.html").read_text().count('<tr class="bad">') == 4


@pytest.mark.parametrize(
    ("out", "said"),
    [
        ("notes.txt/s", "Not a directory"),
        ("x" * 300, "File name too long"),
    ],
)
def test_an_output_folder_that_cannot_be_made_is_refused(cli: Cli, out: str, said: str) -> None:
    Path("notes.txt").write_text("kept")
    done = cli("study", "--quick", "--out", out)
    assert (done.status, done.out) == (2, "")
    assert said in done.err
    assert "Traceback" not in done.err
    assert os.listdir() == ["notes.txt"]
    assert Path("notes.txt").read_text() == "kept"


def test_a_file_of_the_folder_s_name_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "study").write_text("kept")
    with folder_written_whole(tmp_path / "study") as (_, folder):
        assert folder == tmp_path / "study-2"
    assert (tmp_path / "study").read_text() == "kept"


def test_a_failing_training_ends_the_study_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*arguments: object, **options: object) -> None:
        raise ls.errors.InvalidValueError("no training here")

    monkeypatch.setattr("lstmsim.reports.study.trainings.fitted", fail)
    with pytest.raises(ls.errors.InvalidValueError, match="no training here"):
        run_study(dataclasses.replace(TINY, epochs=10_000))


@pytest.mark.slow
def test_the_quick_study_agrees(cli: Cli) -> None:
    done = cli("study", "--quick", "--json", "--out", "deep/s")
    read = json.loads(done.out)
    print(read["seconds"], "s")
    assert (done.status, done.err, read["ok"]) == (0, "", True)
    assert all(Path(file).exists() for file in read["files"])
    assert read["folder"] == "deep/s"
