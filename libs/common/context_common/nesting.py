"""How deep a JSON value may nest: what walks through one goes as deep itself, and Python ends at about a thousand."""

from typing import Any

DEEPEST = 32  # levels of objects and lists


def too_deep(value: Any) -> bool:
    """Whether `value` has more than DEEPEST levels."""
    level = [value]
    for _ in range(DEEPEST + 1):
        inner = [one for one in level if isinstance(one, dict | list)]
        level = [part for one in inner for part in (one.values() if isinstance(one, dict) else one)]
    return bool(inner)
