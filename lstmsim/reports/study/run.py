"""The whole study: its steps in their order, with independent trainings side by side."""

from __future__ import annotations

import os
import platform
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from lstmsim._version import __version__
from lstmsim.base import Block, Document, Picture, Report, TableData
from lstmsim.base import Section as Part
from lstmsim.reports.study import layer, linear, readback, sweeps, trained
from lstmsim.reports.study.facts import Fact, Section, facts_table
from lstmsim.reports.study.figures import styled
from lstmsim.reports.study.plan import FULL, OPTIMIZERS, Plan, Settings, make_plan
from lstmsim.reports.study.trainings import Job, Runs, jobs, pool, race_jobs
from lstmsim.reports.writing import write_report

#: The steps that need no training.
STEPS: tuple[Callable[[Plan], Section], ...] = (
    layer.layer_section,
    layer.parameters_section,
    linear.system_section,
    linear.weights_section,
    linear.scale_section,
    linear.states_alone_section,
)
#: The steps that read trainings.
TRAINED_STEPS: tuple[Callable[[Plan, Runs], Section], ...] = (
    trained.calculated_section,
    trained.differences_section,
    readback.read_back_section,
    trained.random_section,
    trained.validation_section,
    sweeps.basin_section,
    sweeps.spread_section,
    sweeps.optimizers_section,
)


@dataclass(frozen=True, eq=False)
class Study(Report):
    """What the study found.

    Parameters
    ----------
    sections : tuple of Section
        Its steps.
    settings : Settings
        Counts and epochs.
    seconds : float
        How long it took.
    """

    sections: tuple[Section, ...]
    settings: Settings
    seconds: float

    @property
    def title(self) -> str:
        """What it is about."""
        return "An LSTM as a dynamical system: the published example, measured again"

    @property
    def facts(self) -> tuple[Fact, ...]:
        """All figures, published against obtained."""
        return tuple(fact for section in self.sections for fact in section.facts)

    @property
    def ok(self) -> bool:
        """Whether every figure agrees that should."""
        return all(fact.ok is not False for fact in self.facts)

    @property
    def summary(self) -> str:
        """The result in one sentence, and what does not agree."""
        checked = [fact for fact in self.facts if fact.ok is not None]
        bad = [fact for fact in checked if not fact.ok]
        result = (
            f"{len(checked) - len(bad)} of {len(checked)} figures agree as they should; "
            f"{len(self.facts) - len(checked)} more are reported."
        )
        misses = (f"{f.name}: published {f.published}, obtained {f.obtained}" for f in bad)
        return "\n".join([result, *misses])

    @property
    def tables(self) -> tuple[TableData, ...]:
        """Published and obtained figures."""
        return (facts_table(self.facts),)

    @property
    def content(self) -> dict[str, Any]:
        """Figures and settings."""
        sections = [
            {
                "name": section.name,
                "title": section.title,
                "facts": [asdict(fact) for fact in section.facts],
                "table": None if section.table is None else section.table.plain,
            }
            for section in self.sections
        ]
        settings = asdict(self.settings)
        seconds = round(self.seconds, 1)
        return {"ok": self.ok, "seconds": seconds, "settings": settings, "sections": sections}

    @property
    def document(self) -> Document:
        """An introduction, all figures, and a section for each step."""
        parts = [
            Part("introduction", "", self._introduction),
            Part("figures", "Published and obtained", self.tables),
        ]
        for number, section in enumerate(self.sections, 1):
            blocks: list[Block] = [section.text]
            if section.facts:
                blocks.append(facts_table(section.facts))
            if section.table is not None:
                blocks.append(section.table)
            blocks.append(Picture(f"{section.name}.png", section.caption, styled(section.draw)))
            parts.append(Part(section.name, f"{number}. {section.title}", tuple(blocks)))
        return Document(self.title, tuple(parts))

    @property
    def _introduction(self) -> tuple[str, ...]:
        first, *rest = self.summary.splitlines()
        s = self.settings
        return (
            "“LSTM as a Dynamical System” (G. Campa, 2022–2024) is a MATLAB and Simulink example. "
            "This report computes each of its steps again from the same random numbers, and "
            "compares the figures that it prints.",
            first + (" These do not: " + "; ".join(rest) + "." if rest else ""),
            f"lstmsim {__version__}, Python {platform.python_version()}, {os.cpu_count()} cores, "
            f"{self.seconds:.0f} s. Epochs: {s.epochs:,} for both published trainings, "
            f"{s.basin_epochs:,} for learning rates, {s.starts_epochs:,} for {s.starts} random "
            f"starts, {s.drops_epochs:,} for {s.drops} drop factors, {s.search_epochs:,} and "
            f"{s.race_epochs:,} for optimizers.",
            "Where training ends is chaotic in rounding: two right implementations agree in the "
            "first epochs and in the shape of the curve, not in digits at the end. Of such figures "
            "only the shape is checked. Losses are mean squared errors; version 2.1 of the example "
            "printed half of them.",
        )


def save_study(study: Study, folder: Path) -> list[Path]:
    """Save report.md, report.html, study.json and the figures into a folder that exists.

    Raises
    ------
    FileAccessError
        If a file cannot be written.
    """
    return write_report(study, folder, "study.json")


def run_study(
    settings: Settings = FULL, progress: Callable[[int, int], None] | None = None
) -> Study:
    """Compute every step of the study.

    Parameters
    ----------
    settings : Settings, optional
        `FULL` or `QUICK`, or others.
    progress : callable, optional
        Called with how many steps are done, and of how many.

    Returns
    -------
    Study
        Its figures are drawn when it is saved.
    """
    begun = time.perf_counter()
    plan = make_plan(settings)
    target = linear.response(plan.system, plan.example.u)[:, None]
    groups = jobs(plan)
    total = len(STEPS) + sum(map(len, groups.values())) + len(OPTIMIZERS)
    count = _Counter(total, progress)
    with pool(plan.example.u, target, count) as workers:
        # The kernels are compiled once, before anything runs beside anything.
        workers.submit(Job(plan.calculated, 1e-4, 0.99, 1)).result()
        waiting = {
            name: {key: workers.submit(job) for key, job in group.items()}
            for name, group in groups.items()
        }
        sections = []
        for step in STEPS:
            sections.append(step(plan))
            count()
        search = {key: future.result() for key, future in waiting["search"].items()}
        races = race_jobs(plan, search).items()
        waiting["races"] = {key: workers.submit(job) for key, job in races}
        runs: Runs = {
            name: {key: future.result() for key, future in group.items()}
            for name, group in waiting.items()
        }
    sections += [step(plan, runs) for step in TRAINED_STEPS]
    return Study(tuple(sections), settings, time.perf_counter() - begun)


class _Counter:
    """Counts what is done, and says so."""

    def __init__(self, total: int, progress: Callable[[int, int], None] | None) -> None:
        self._done, self._total, self._progress = -1, total, progress  # the warm-up is no step
        self._lock = threading.Lock()

    def __call__(self) -> None:
        with self._lock:
            self._done += 1
            if self._progress is not None:
                self._progress(self._done, self._total)
