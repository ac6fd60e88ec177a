"""The whole study: its steps in their order, with independent trainings side by side."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from rich import box
from rich.markup import escape
from rich.table import Table

from lstmsim.networks import Network
from lstmsim.published import published_system
from lstmsim.published import system as printed_system
from lstmsim.published import training as printed
from lstmsim.reports.study import linear, sweeps, trained
from lstmsim.reports.study.facts import Fact, Section
from lstmsim.reports.study.jobs import Job, Trained, pool
from lstmsim.reports.study.layer import layer_section, parameters_section
from lstmsim.reports.study.readback import read_back_section
from lstmsim.reports.study.settings import FULL, Settings
from lstmsim.theory import approximate

if TYPE_CHECKING:
    import control

#: Steps that need no training, for progress.
_STILL = 6


@dataclass(frozen=True, eq=False)
class Study:
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
        said = (
            f"{len(checked) - len(bad)} of {len(checked)} figures agree as they should; "
            f"{len(self.facts) - len(checked)} more are reported."
        )
        lines = [
            f"{fact.name}: published {fact.published}, obtained {fact.obtained}" for fact in bad
        ]
        return "\n".join([said, *lines])

    @property
    def table(self) -> Table:
        """Published and obtained figures as a Rich table."""
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, padding=(0, 2, 0, 0))
        for heading in ("figure", "published", "obtained", "agrees to"):
            table.add_column(heading, overflow="fold")
        for section in self.sections:
            for fact in section.facts:
                cells = (fact.name, fact.published, fact.obtained, fact.agreement)
                miss = "bold red" if fact.ok is False else None
                table.add_row(*map(escape, cells), style=miss)
        return table

    def to_json(self) -> str:
        """Return figures and settings as JSON."""
        return json.dumps(
            {
                "ok": self.ok,
                "seconds": round(self.seconds, 1),
                "settings": asdict(self.settings),
                "sections": [
                    {
                        "name": section.name,
                        "title": section.title,
                        "facts": [asdict(fact) for fact in section.facts],
                        "table": None if section.table is None else asdict(section.table),
                    }
                    for section in self.sections
                ],
            },
            indent=2,
        )


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
    system = published_system()
    example = printed.training_example(settings.starts)
    start = example.starts[0]
    calculated = approximate(system, printed_system.SCALE)
    target = linear.response(system, example.u)[:, None]
    searched = sweeps.search_jobs(settings, start)
    swept = [
        *sweeps.basin_jobs(settings, calculated),
        *sweeps.starts_jobs(settings, example.starts),
        *sweeps.drops_jobs(settings, start),
    ]
    total = _STILL + len(searched) + 2 + len(swept) + len(sweeps.OPTIMIZERS)
    count = _Counter(total, progress)
    with pool(example.u, target, count) as jobs:
        # The kernels are compiled once, before anything runs beside anything.
        jobs.submit(Job(calculated, 1e-4, 0.99, 1)).result()
        search = {key: jobs.submit(job) for key, job in searched.items()}
        main = [
            jobs.submit(Job(calculated, *printed.FROM_CALCULATED, settings.epochs)),
            jobs.submit(Job(start, *printed.FROM_RANDOM, settings.epochs)),
        ]
        sweep = [jobs.submit(job) for job in swept]
        still = _still(settings, system, calculated, example, count)
        found = _results(search)
        races = _results(
            {k: jobs.submit(j) for k, j in sweeps.race_jobs(settings, start, found).items()}
        )
        ours, theirs = (future.result() for future in main)
        ended = [future.result() for future in sweep]
    basin, rest = ended[: settings.rates], ended[settings.rates :]
    networks = {
        "calculated": calculated,
        "trained from there": ours.network,
        "trained from random": theirs.network,
    }
    full = settings.epochs >= printed.EPOCHS
    sections = (
        *still,
        trained.calculated_section(ours),
        trained.differences_section(calculated, ours.network),
        read_back_section(system, ours, full),
        trained.random_section(theirs, full),
        trained.validation_section(system, example.validation, networks),
        sweeps.basin_section(settings, basin),
        sweeps.spread_section(settings, rest[: settings.starts], rest[settings.starts :]),
        sweeps.optimizers_section(settings, found, races),
    )
    return Study(sections, settings, time.perf_counter() - begun)


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


def _still(
    settings: Settings,
    system: control.StateSpace,
    calculated: Network,
    example: printed.TrainingExample,
    count: _Counter,
) -> tuple[Section, ...]:
    u = example.validation
    steps: tuple[Callable[[], Section], ...] = (
        layer_section,
        parameters_section,
        lambda: linear.system_section(system),
        lambda: linear.weights_section(system, calculated, u),
        lambda: linear.scale_section(system, u, settings.scales_per_decade),
        lambda: linear.states_alone_section(system, calculated),
    )
    sections = []
    for step in steps:
        sections.append(step())
        count()
    return tuple(sections)


def _results(futures: dict[tuple[str, float], Future[Trained]]) -> sweeps.Runs:
    return {key: future.result() for key, future in futures.items()}
