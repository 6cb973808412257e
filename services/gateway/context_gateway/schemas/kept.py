"""What only the engine writes of an item and a read answers: sent back with a change, it must be as it stands."""

from collections.abc import Mapping, Set
from typing import Any

from context_common.errors import Invalid, Stale
from context_gateway.schemas.fields import read_time
from context_gateway.schemas.items import KEPT, Kept

# They change while nobody writes the item: who sends them back cannot know what stands by now.
COUNTED = frozenset({"access_count_30d", "reference_count", "feedback"})
TIMES = frozenset({"created_at", "updated_at"})


def expected(body: Kept, if_match: int) -> int:
    """The version that may be changed; 0 for any.

    Raises:
        Stale: `If-Match` asks for another one than the body is of.
    """
    if if_match and body.version and body.version != if_match:
        raise Stale(f"the body is of version {body.version}, and If-Match asks for {if_match}")
    return if_match or body.version or 0


def compared(body: Kept) -> Set[str]:
    """Which fields of `body` must be as they stand; its version is expected instead."""
    return (body.model_fields_set & KEPT) - COUNTED - {"version"}


def compare(body: Kept, standing: Mapping[str, Any]) -> None:
    """Refuse what differs from `standing`, which is as a read answers it.

    Raises:
        Invalid: Names every such field.
    """
    differs = sorted(name for name in compared(body) if getattr(body, name) != _value(name, standing[name]))
    if differs:
        raise Invalid({name: ["cannot be changed, and is not as it stands"] for name in differs})


def _value(name: str, answered: Any) -> Any:
    return read_time(answered) if name in TIMES and answered else answered
