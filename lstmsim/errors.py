"""The errors of this package: all derive from `LstmsimError`."""

from lstmsim.base.errors import *  # noqa: F403
