"""The page /docs: every call on one page, without a script and without another host."""

import json
from collections.abc import Iterator, Mapping
from html import escape
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

router = APIRouter(include_in_schema=False)
_CSP = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
_STYLE = """
:root { color-scheme: light dark; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
section { border-top: 1px solid #8886; padding: 0.5rem 0 1rem; }
h2 { margin-top: 2.5rem; } h3 { margin-bottom: 0.2rem; }
code, pre { font-family: ui-monospace, monospace; font-size: 0.9em; }
pre { background: #8882; padding: 0.7rem; border-radius: 6px; overflow-x: auto; }
table { border-collapse: collapse; width: 100%; }
td, th { text-align: left; vertical-align: top; padding: 0.2rem 0.8rem 0.2rem 0; }
.method { display: inline-block; min-width: 4rem; font-weight: 600; }
"""


@router.get("/docs")
def get_docs(request: Request) -> HTMLResponse:
    """Rendered from the OpenAPI document beside it."""
    text = page(request.app.openapi(), request.scope.get("root_path", ""))
    return HTMLResponse(text, headers={"Content-Security-Policy": _CSP})


def page(schema: Mapping[str, Any], prefix: str = "") -> str:
    """The whole page; `prefix` is where the API is mounted."""
    title = escape(schema["info"]["title"])
    calls = "\n".join(_calls(schema, prefix))
    shapes = "\n".join(_shape(name, each) for name, each in sorted(schema["components"]["schemas"].items()))
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        f'<meta name="viewport" content="width=device-width"><style>{_STYLE}</style></head><body><h1>{title}</h1>'
        f"<p>{_code(schema['info'].get('description', ''))}</p>"
        f'<p>For tools: <a href="openapi.json">openapi.json</a>.</p>{calls}<h2>Shapes</h2>{shapes}</body></html>'
    )


def _calls(schema: Mapping[str, Any], prefix: str) -> Iterator[str]:
    by_tag: dict[str, list[str]] = {}
    for path, methods in schema["paths"].items():
        for method, call in methods.items():
            by_tag.setdefault(call.get("tags", ["other"])[0], []).append(_call(method, prefix + path, call))
    for tag, calls in by_tag.items():
        yield f"<h2>{escape(tag.capitalize())}</h2>" + "".join(calls)


def _call(method: str, path: str, call: Mapping[str, Any]) -> str:
    scopes = [scope for each in call.get("security", []) for scope in each.get("key", [])]
    key = f"Scope: <code>{escape(' or '.join(scopes))}</code>." if scopes else "Any key." if call.get("security") else "No key."
    return (
        f'<section><h3><span class="method">{method.upper()}</span> <code>{escape(path)}</code></h3>'
        f"<p><strong>{escape(call.get('summary', ''))}.</strong> {_code(call.get('description', ''))} {key}</p>"
        f"{_parameters(call)}{_body(call)}{_responses(call)}</section>"
    )


def _parameters(call: Mapping[str, Any]) -> str:
    rows = [
        (f"{each['name']} ({each['in']})", each.get("description", "") or each["schema"].get("description", ""))
        for each in call.get("parameters", [])
    ]
    return _table("Parameters", rows)


def _body(call: Mapping[str, Any]) -> str:
    content = call.get("requestBody", {}).get("content", {})
    parts = [f"<p>Body: {_shape_link(media, each.get('schema', {}))}</p>{_example(each)}" for media, each in content.items()]
    return "".join(parts)


def _example(media: Mapping[str, Any]) -> str:
    return f"<pre>{escape(json.dumps(media['example'], indent=2))}</pre>" if "example" in media else ""


def _responses(call: Mapping[str, Any]) -> str:
    rows = []
    for status, each in sorted(call.get("responses", {}).items()):
        shapes = ", ".join(_shape_link(media, held.get("schema", {})) for media, held in each.get("content", {}).items())
        rows.append((status, f"{escape(each.get('description', ''))} {shapes}"))
    return _table("Responses", rows, safe=True)


def _shape(name: str, shape: Mapping[str, Any]) -> str:
    rows = [
        (
            field + ("" if field in shape.get("required", []) else " (optional)"),
            f"{_type(held)} {_code(held.get('description', ''))}",
        )
        for field, held in shape.get("properties", {}).items()
    ]
    examples = "".join(_example({"example": example}) for example in shape.get("examples", []))
    head = f'<section id="{escape(name)}"><h3>{escape(name)}</h3><p>{_code(shape.get("description", ""))}</p>'
    return f"{head}{examples}{_table('', rows, safe=True)}</section>"


def _type(shape: Mapping[str, Any]) -> str:
    if "$ref" in shape:
        name = escape(shape["$ref"].rpartition("/")[2])
        return f'<a href="#{name}">{name}</a>'
    if "anyOf" in shape:
        return " or ".join(_type(each) for each in shape["anyOf"])
    if shape.get("type") == "array":
        return f"list of {_type(shape.get('items', {}))}"
    choices = shape.get("enum")
    return escape(" | ".join(map(str, choices)) if choices else str(shape.get("type", "any")))


def _shape_link(media: str, shape: Mapping[str, Any]) -> str:
    return f"{_type(shape)} <code>{escape(media)}</code>"


def _table(title: str, rows: list[tuple[str, str]], *, safe: bool = False) -> str:
    if not rows:
        return ""
    body = "".join(f"<tr><td><code>{escape(a)}</code></td><td>{b if safe else _code(b)}</td></tr>" for a, b in rows)
    return f"{f'<p>{title}</p>' if title else ''}<table>{body}</table>"


def _code(text: str) -> str:
    """Text with `code` as code."""
    parts = escape(text).split("`")
    return "".join(f"<code>{part}</code>" if n % 2 else part for n, part in enumerate(parts))
