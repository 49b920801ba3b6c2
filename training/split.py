"""Which texts no model is fitted on, so that calibration can rank against them.

The rule needs nothing but a record's id: it can be applied again by anybody, and adding a source
does not move what is already placed.
"""

from __future__ import annotations

import hashlib
from typing import Final

SHARE: Final = 0.30
"""Share of the benign records kept for calibration."""

_THRESHOLD: Final = int(SHARE * 2**64)


def is_calibration(record_id: str) -> bool:
    """Return whether a benign record is kept for calibration and never fitted on.

    >>> is_calibration("gsm8k-00001") == is_calibration("gsm8k-00001")
    True
    """
    digest = hashlib.blake2b(record_id.encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") < _THRESHOLD
