"""What callers add to their feedback as JSON.

Read in one way where it is looked through for secrets and where it is kept: so nothing is kept that was not looked
through.
"""

import json
import math
from typing import Any, NoReturn

from context_common.nesting import DEEPEST, too_deep

LONGEST = 16_000  # characters


def read_metadata(text: str) -> dict[str, Any]:
    """The JSON object in `text`.

    Raises:
        ValueError: It is none, or too long, or nests too deep; in words for who sent it.
    """
    if len(text) > LONGEST:
        raise ValueError(f"is longer than {LONGEST:,} characters")
    try:
        value = json.loads(text, parse_constant=_no_number, parse_float=_finite)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise ValueError("is no JSON object")  # noqa: TRY004 - of a text
    if too_deep(value):
        raise ValueError(f"nests more than {DEEPEST} levels")
    return value


def _no_number(text: str) -> NoReturn:
    """JSON has no such numbers as NaN."""
    raise ValueError(text)


def _finite(text: str) -> float:
    """What is too large for a number is none either."""
    number = float(text)
    return number if math.isfinite(number) else _no_number(text)
