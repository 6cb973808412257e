"""What the gateway serves, by its own OpenAPI document, and the pages that are not in it."""

import asyncio
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

import jsonschema
from fastapi import FastAPI

from context_gateway import openapi
from context_gateway.app import create_app
from context_gateway.clients import open_clients
from context_gateway.rates import open_limiter
from context_gateway.settings import Settings


async def make_app() -> FastAPI:
    """The gateway, over services that nobody calls."""
    settings = Settings.from_env({})
    async with open_clients(settings) as clients, open_limiter(settings.limits) as limiter:
        return create_app(clients, settings, limiter)


def document() -> dict[str, Any]:
    """The OpenAPI document."""
    return openapi.document(asyncio.run(make_app()))


def operations() -> set[str]:
    """Each operation as `GET /api/adr/{id}`."""
    return {f"{method.upper()} {path}" for path, methods in document()["paths"].items() for method in methods}


def operations_of(document: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Each operation of a document."""
    return [operation for methods in document["paths"].values() for operation in methods.values()]


UNNAMED = (405, 413, 500)  # what stands in the document as `default` only
CHECKER = jsonschema.Draft202012Validator.FORMAT_CHECKER


class Contract:
    """Holds answers against a document.

    Answers may grow, so that the document allows fields that it does not name; here they are faults.
    """

    def __init__(self, document: Mapping[str, Any]) -> None:
        self._components: dict[str, Any] = {**document["components"], "schemas": {}}
        for name, schema in document["components"]["schemas"].items():
            is_closed = "properties" not in schema or "additionalProperties" in schema
            self._components["schemas"][name] = schema if is_closed else {**schema, "additionalProperties": False}
        # The most literal template first: /api/admin/keys before /api/{anything}.
        templates = sorted(document["paths"], key=lambda path: path.count("{"))
        self._paths = {path: (re.compile(_pattern(path)), document["paths"][path]) for path in templates}
        self.operations = {operation["operationId"] for operation in operations_of(document)}
        self.held: set[tuple[str, int]] = set()  # operations and statuses that were held against it

    def faults(self, method: str, path: str, status: int, headers: Mapping[str, str], body: bytes) -> list[str]:
        """What an answer has that the document does not say; what the document does not have at all has none."""
        operation = self._operation(method.lower(), path)
        if operation is None:
            return []
        self.held.add((operation["operationId"], status))
        responses = operation["responses"]
        response = responses.get(str(status), responses["default"] if status in UNNAMED else None)
        if response is None:
            return [f"the status {status}"]
        media_type = headers.get("content-type", "").partition(";")[0]
        if media_type not in response["content"]:
            return [f"{status} as {media_type}"]
        given = {name.lower() for name in headers}
        undeclared = [name for name in self._components["headers"] if name.lower() in given - _lower(response)]
        schema = response["content"][media_type]["schema"]
        return [f"the header {name}" for name in undeclared] + list(self._wrong(media_type, schema, body))

    def _operation(self, method: str, path: str) -> dict[str, Any] | None:
        for pattern, methods in self._paths.values():
            if pattern.fullmatch(path) and method in methods:
                operation: dict[str, Any] = methods[method]
                return operation
        return None

    def _wrong(self, media_type: str, schema: dict[str, Any], body: bytes) -> Iterator[str]:
        if media_type.endswith("json"):
            lines = schema.get("contentSchema")
            whole = {**(lines or schema), "components": self._components}
            validator = jsonschema.Draft202012Validator(whole, format_checker=CHECKER)
            for value in body.splitlines() if lines else [body]:
                error = jsonschema.exceptions.best_match(validator.iter_errors(json.loads(value)))
                if error:
                    yield f"{error.json_path}: {error.message[:500]}"


def _lower(response: Mapping[str, Any]) -> set[str]:
    return {name.lower() for name in response.get("headers", {})}


def _pattern(path: str) -> str:
    """A template as a regular expression; only a tag has slashes in it."""
    parts = re.split(r"(\{\w+\})", path)
    return "".join({"{tag}": ".+"}.get(part, "[^/]+") if part.startswith("{") else re.escape(part) for part in parts)
