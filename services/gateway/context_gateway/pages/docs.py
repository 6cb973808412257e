"""The /docs page: the OpenAPI document as plain HTML, without scripts, so that it works offline under a strict CSP."""

import base64
import hashlib
import json
from collections.abc import Iterator
from html import escape
from typing import Any

from context_gateway.openapi import operations

STYLE = """
:root { color-scheme: light dark; }
body { font: 16px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 60rem; padding: 0 1rem; }
summary { cursor: pointer; padding: .4rem 0; }
details { border-bottom: 1px solid #8884; }
details > div { padding: 0 0 1rem 1rem; overflow-x: auto; }
code, pre { font: 14px/1.4 ui-monospace, monospace; }
pre { overflow: auto; background: #8882; padding: .75rem; border-radius: .3rem; }
.method { display: inline-block; width: 4.5rem; font-weight: 700; }
table { border-collapse: collapse; }
td, th { text-align: left; vertical-align: top; padding: .15rem 1rem .15rem 0; overflow-wrap: anywhere; }
"""
DEVELOPMENT = "Development mode: no credential is asked for, and so only this machine is served."
_HASH = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
CSP = f"default-src 'none'; style-src 'sha256-{_HASH}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"


def render(schema: dict[str, Any], notice: str = "") -> str:
    """`schema`, an OpenAPI document, as a page; `notice` stands at its top."""
    info = schema["info"]
    title = f"{escape(info['title'])} {escape(info['version'])}"
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        f'<meta name="viewport" content="width=device-width"><style>{STYLE}</style></head><body>'
        f"<h1>{title}</h1>{_notice(notice)}<p>{escape(info['description'])}</p>"
        '<p>For programs: <a href="/openapi.json">openapi.json</a>.</p>'
        f"{''.join(_sections(schema))}<h2>Types</h2>{''.join(_types(schema))}</body></html>"
    )


def _notice(text: str) -> str:
    return f'<p role="note"><strong>{escape(text)}</strong></p>' if text else ""


def _sections(schema: dict[str, Any]) -> Iterator[str]:
    tags: dict[str, list[str]] = {}
    for path, method, operation in operations(schema):
        tags.setdefault(operation["tags"][0], []).append(_operation(schema, path, method, operation))
    for tag, parts in tags.items():
        yield f"<h2>{escape(tag)}</h2>{''.join(parts)}"


def _operation(schema: dict[str, Any], path: str, method: str, operation: dict[str, Any]) -> str:
    return (
        f'<details id="{escape(operation["operationId"])}"><summary><span class="method">{method.upper()}</span>'
        f"<code>{escape(path)}</code> {escape(operation['summary'])}</summary><div>"
        f"<p>{escape(operation.get('description', ''))}</p>"
        f"<p>{_scope(operation)}</p>"
        f"{_parameters(operation)}{_body(schema, operation)}{_responses(schema, operation)}</div></details>"
    )


def _types(schema: dict[str, Any]) -> Iterator[str]:
    for name, part in sorted(schema["components"]["schemas"].items()):
        yield (
            f'<details id="{escape(name)}"><summary><code>{escape(name)}</code></summary><div>'
            f"<p>{escape(part.get('description', ''))}</p>{_fields('Fields', part)}</div></details>"
        )


def _scope(operation: dict[str, Any]) -> str:
    scopes = [scope for scheme in operation["security"] for names in scheme.values() for scope in names]
    return f"Scope: <code>{escape(' '.join(scopes))}</code>." if scopes else "No credential needed."


def _parameters(operation: dict[str, Any]) -> str:
    rows = [
        (f"<code>{escape(p['name'])}</code>", escape(p["in"]), escape(p.get("description", "")) or _type(p["schema"]))
        for p in operation.get("parameters", [])
    ]
    return _table("Parameters", rows)


def _body(schema: dict[str, Any], operation: dict[str, Any]) -> str:
    contents = operation.get("requestBody", {}).get("content", {})
    return "".join(_content(schema, "Body", media_type, content) for media_type, content in contents.items())


def _responses(schema: dict[str, Any], operation: dict[str, Any]) -> str:
    rows, parts = [], []
    for status, answer in operation["responses"].items():
        shown = [_type(content["schema"]) for content in answer["content"].values()]
        rows.append((status, escape(answer["description"]), " or ".join(shown)))
        if status.startswith("2"):
            parts += [_content(schema, status, *content) for content in answer["content"].items()]
    return _table("Answers", rows) + "".join(parts)


def _content(schema: dict[str, Any], title: str, media_type: str, content: dict[str, Any]) -> str:
    title = f"{title}: {media_type}"
    return _fields(title, _resolve(schema, content["schema"])) or f"<h4>{escape(title)}</h4>"


def _fields(title: str, model: dict[str, Any]) -> str:
    required = model.get("required", [])
    rows = []
    for name, field in model.get("properties", {}).items():
        said = "required" if name in required else "as it stands" if field.get("readOnly") else ""
        rows.append((f"<code>{escape(name)}</code>", said, _type(field)))
    return _table(title, rows)


def _table(title: str, rows: list[tuple[str, str, str]]) -> str:
    lines = "".join(f"<tr><td>{a}</td><td>{b}</td><td>{c}</td></tr>" for a, b, c in rows)
    return f"<h4>{escape(title)}</h4><table>{lines}</table>" if rows else ""


def _type(schema: dict[str, Any]) -> str:
    """A schema in a few words, and links to the types in it."""
    if "$ref" in schema:
        name = escape(str(schema["$ref"]).rpartition("/")[2])
        return f'<a href="#{name}">{name}</a>'
    if "contentSchema" in schema:
        return f"in each line {_type(schema['contentSchema'])}"
    if "enum" in schema:
        return escape(" | ".join(map(str, schema["enum"])))
    if options := schema.get("anyOf"):
        return " or ".join(_type(option) for option in options)
    if schema.get("type") == "array":
        return f"list of {_type(schema['items'])}"
    default = f" = {json.dumps(schema['default'])}" if schema.get("default") not in (None, "", []) else ""
    return escape(str(schema.get("format") or schema.get("const") or schema.get("type", "any")) + default)


def _resolve(schema: dict[str, Any], part: dict[str, Any]) -> dict[str, Any]:
    """`part` itself, or what it refers to, or what stands in its lines; of two, the first."""
    part = part.get("contentSchema", part)
    part = next((option for option in part.get("anyOf", ()) if "$ref" in option), part)
    if "$ref" not in part:
        return part
    resolved: dict[str, Any] = schema["components"]["schemas"][part["$ref"].rpartition("/")[2]]
    return resolved
