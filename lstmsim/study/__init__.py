"""The study: every step of the published example computed again, and a report of it."""

from lstmsim.study.report import save_study as save_study
from lstmsim.study.run import Study as Study
from lstmsim.study.run import run_study as run_study
from lstmsim.study.settings import FULL as FULL
from lstmsim.study.settings import QUICK as QUICK
from lstmsim.study.settings import Settings as Settings
