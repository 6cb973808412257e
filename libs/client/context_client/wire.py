"""Bodies and addresses as they go over the wire; what no server could take is refused here, in its words."""

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from context_client.errors import NotFound, Refused


def encode(fields: Mapping[str, Any]) -> bytes:
    """`fields` as JSON.

    Raises:
        Refused: JSON or UTF-8 has no way to write one of them; `details` names it.
    """
    try:
        return _json(fields)
    except (TypeError, ValueError) as error:
        problem = {"title": "Validation failed", "code": "validation_failed", "details": _faults(fields)}
        raise Refused(422, problem) from error


def segment(text: str) -> str:
    """`text` as one part of a path.

    Raises:
        NotFound: It cannot be one, so that nothing is stored under it: another address would be asked.
    """
    try:
        if text not in ("", ".", ".."):
            return quote(text, safe="")
    except UnicodeEncodeError:
        pass
    raise NotFound(404, {"title": "Not found", "detail": f"nothing can be stored under {text!r}"})


def if_match(version: int) -> dict[str, str]:
    """The header by which only that version is changed; 0 is whatever there is."""
    return {"If-Match": f'"{version}"'} if version else {}


def _json(fields: Mapping[str, Any]) -> bytes:
    return json.dumps(dict(fields), ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()


def _faults(fields: Mapping[str, Any]) -> dict[str, list[str]]:
    faults = {}
    for name, value in fields.items():
        try:
            _json({name: value})
        except UnicodeEncodeError:
            faults[str(name).encode(errors="replace").decode()] = ["holds characters that are not Unicode"]
        except (TypeError, ValueError) as error:
            faults[str(name)] = [f"cannot be written as JSON: {error}"]
    return faults
