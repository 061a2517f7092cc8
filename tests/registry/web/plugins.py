"""Wheels that look like something people use, and wheels that mean harm."""

from __future__ import annotations

from tests.support.wheels import make_manifest, make_wheel

Wheel = tuple[str, bytes]

RENDER_1 = '''"""Render Markdown to HTML."""

import html
import re

BOLD = re.compile(r"\\*\\*(.+?)\\*\\*")
HEADING = re.compile(r"^(#{1,6})\\s+(.*)$", re.MULTILINE)


def render(arguments):
    """Return the HTML of a Markdown text."""
    text = html.escape(arguments["text"])
    text = HEADING.sub(_heading, text)
    return {"html": BOLD.sub(r"<b>\\1</b>", text)}


def _heading(match):
    level = len(match[1])
    return f"<h{level}>{match[2]}</h{level}>"
'''

RENDER_2 = '''"""Render Markdown to HTML, with an outline of its headings."""

import hashlib
import html
import random
import re
from xml.etree import ElementTree

BOLD = re.compile(r"\\*\\*(.+?)\\*\\*")
EMPHASIS = re.compile(r"(?<!\\w)_(.+?)_(?!\\w)")
HEADING = re.compile(r"^(#{1,6})\\s+(.*)$", re.MULTILINE)


def render(arguments):
    """Return the HTML of a Markdown text, and its outline where it is asked for."""
    text = html.escape(arguments["text"])
    outline = [] if arguments.get("outline") else None
    text = HEADING.sub(lambda match: _heading(match, outline), text)
    text = EMPHASIS.sub(r"<em>\\1</em>", text)
    page = BOLD.sub(r"<b>\\1</b>", text)
    ElementTree.fromstring(f"<div>{page}</div>")  # every tag is closed
    return {"html": page, "outline": outline or []}


def _heading(match, outline):
    level = len(match[1])
    anchor = hashlib.sha256(match[2].encode()).hexdigest()[:8]
    if outline is not None:
        outline.append({"level": level, "title": match[2], "anchor": anchor})
    return f'<h{level} id="{anchor}">{match[2]}</h{level}>'


def sample(arguments):
    """Return a text to try the plugin on."""
    title = random.choice(["Field notes", "Release plan", "Minutes"])
    return {"text": f"# {title}\\n\\nSome **bold** words."}
'''

TABLE = '''"""Query tables of records."""


def select(arguments):
    """Return the rows where every condition holds."""
    where = arguments.get("where", {})
    rows = [row for row in arguments["rows"] if all(row.get(k) == v for k, v in where.items())]
    columns = arguments.get("columns")
    if columns:
        rows = [{name: row.get(name) for name in columns} for row in rows]
    return {"rows": rows[: arguments.get("limit", 100)]}
'''

SHELL = '''"""Run a command."""

import subprocess


def run(arguments):
    return {"out": subprocess.run(arguments["cmd"], shell=True, capture_output=True).stdout}
'''

RENDER_ARGUMENTS = {
    "type": "object",
    "properties": {
        "text": {"type": "string", "maxLength": 200_000, "description": "The Markdown source."}
    },
    "required": ["text"],
    "additionalProperties": False,
}
HTML_RESULT = {
    "type": "object",
    "properties": {"html": {"type": "string", "description": "Escaped and safe to embed."}},
    "required": ["html"],
}


def markdown(version: str) -> Wheel:
    """Return a Markdown renderer: 1.0.0, or 1.1.0 which changes and adds things."""
    first = version == "1.0.0"
    render = {
        "callable": "markdown_render:render",
        "summary": "Render Markdown to HTML.",
        "arguments": RENDER_ARGUMENTS,
        "result": HTML_RESULT,
    }
    methods = {"render": render}
    limits = {"wall_seconds": 5.0, "memory_bytes": 64 << 20}
    if not first:
        properties = {
            **RENDER_ARGUMENTS["properties"],  # type: ignore[dict-item]
            "outline": {"type": "boolean", "default": False, "description": "List the headings."},
        }
        render["arguments"] = {**RENDER_ARGUMENTS, "properties": properties}
        methods["sample"] = {
            "callable": "markdown_render:sample",
            "summary": "Return a text to try it on.",
            "arguments": {"type": "object", "additionalProperties": False},
            "result": {"type": "object"},
        }
        limits["memory_bytes"] = 128 << 20
    summary = "Render Markdown to HTML, with headings, emphasis and bold text."
    files: dict[str, bytes | str | None] = {
        "markdown_render/py.typed": "",
        "markdown_render/styles/plain.css": "h1 { font-weight: 600 }\n",
        "markdown_render/version.py": f'VERSION = "{version}"\n',
    }
    if first:
        files["markdown_render/legacy.py"] = "# kept for nobody\n"
    else:
        files["markdown_render/logo.png"] = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR"
    return make_wheel(
        "markdown-render",
        version,
        source=RENDER_1 if first else RENDER_2,
        files=files,
        manifest=make_manifest("markdown-render", summary=summary, methods=methods, limits=limits),
        metadata=metadata("markdown-render", version, summary),
    )


def metadata(name: str, version: str, summary: str) -> str:
    """Return the text of METADATA."""
    return f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\nSummary: {summary}\n"


def small(name: str, version: str, summary: str, source: str, method: str) -> Wheel:
    """Return a plugin of one file with one method that takes any object."""
    package = name.replace("-", "_")
    methods = {
        method: {
            "callable": f"{package}:{method}",
            "summary": summary,
            "arguments": {"type": "object"},
            "result": {"type": "object"},
        }
    }
    return make_wheel(
        name,
        version,
        source=source,
        manifest=make_manifest(name, summary=summary, methods=methods),
        metadata=metadata(name, version, summary),
    )


def table(version: str = "1.0.0") -> Wheel:
    """Return a plugin that selects from tables; the scan finds nothing."""
    return small("table-query", version, "Select rows and columns from records.", TABLE, "select")


def shell(version: str = "0.1.0") -> Wheel:
    """Return a plugin that the scan blocks."""
    return small("shell-helper", version, "Run shell commands on the server.", SHELL, "run")
