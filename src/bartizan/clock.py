"""The one place where the wall clock is named; everything else takes a clock as an argument."""

from __future__ import annotations

import time

WALL_CLOCK = time.time  # noqa: TID251 - this is the clock that is passed around
