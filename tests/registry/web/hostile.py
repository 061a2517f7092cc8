"""A plugin that writes markup into every field that an author or a reviewer controls."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from typing import Any
from urllib.parse import quote

from sqlalchemy import update

from registry.models import Evidence, Plugin, TimelineRow, Version
from tests.registry.web.plugins import Wheel, metadata
from tests.registry.web.stage import Stage
from tests.support.wheels import make_manifest, make_wheel

MARKUP = (
    """<script>window.pwned='{}'</script><img src=x onerror="window.pwned='{}'">"""
    """"'><svg onload=window.pwned='{}'>{{{{7*7}}}}</title></textarea>"""
)
NAME = "hostile-text"
PLACE = (NAME, "1.0.0")
AUTHOR = "<script>window.pwned='author'</script>@evil.example"
"""A subject that our own authority would not certify; another issuer might."""

FILE_NAMES = (
    "hostile_text/'onload=window.pwned=1 x='&lt;img&gt;.txt",
    "hostile_text/{{7+7}}&quot;%3Cscript%3E#f.txt",
)
"""What a wheel may carry: the reader refuses `<`, `>` and `"` in paths."""

REFUSED_FILE_NAMES = (
    "hostile_text/<img src=x onerror=window.pwned='file'>.txt",
    "hostile_text/\u202egnp.py.txt",
)

ALLOWED_TAGS = frozenset(
    {
        *("html", "head", "meta", "title", "link", "body", "header", "nav", "main", "footer"),
        *("a", "b", "i", "s", "p", "h1", "h2", "h3", "ul", "ol", "li", "dl", "dt", "dd", "div"),
        *("span", "code", "pre", "bdi", "time", "blockquote", "section", "article", "aside"),
        *("form", "label", "input", "button", "details", "summary", "svg", "circle", "path"),
        *("table", "caption", "thead", "tbody", "tr", "th", "td", "template", "textarea"),
        *("dialog", "kbd", "small", "select", "option", "col", "colgroup"),
    }
)

OWN_SCRIPT = re.compile(r'<script type="module" src="/assets/[0-9a-f]{16}/\w+\.js"></script>')
"""The only form in which a page of ours may have a script."""


def markup(place: str) -> str:
    """Return the payload, marked with where it stands."""
    return MARKUP.format(place, place, place)


def wheel(version: str = "1.0.0") -> Wheel:
    """Return the wheel."""
    method: dict[str, Any] = {
        "callable": "hostile_text:go",
        "summary": markup("method"),
        "arguments": {
            "type": "object",
            "title": markup("title"),
            "properties": {
                markup("property"): {
                    "type": "string",
                    "description": markup("description"),
                    "enum": [markup("enum"), "\u202eab"],
                    "default": markup("default"),
                }
            },
            "required": [markup("property")],
        },
        "result": {"type": "string", "const": markup("const")},
    }
    source = (
        f"# {markup('comment')}\n"
        f"TEXT = {json.dumps(markup('string'))}\n\n\n"
        "def go(arguments):\n"
        f"    assert {json.dumps(markup('finding'))}\n"
        f"    return {json.dumps(version)}\n"
    )
    return make_wheel(
        NAME,
        version,
        source=source,
        files={path: f"{markup('text')}\n{version}\n" for path in FILE_NAMES},
        manifest=make_manifest(NAME, summary=markup("summary"), methods={"go": method}),
        metadata=metadata(NAME, version, markup("summary")),
    )


def build(stage: Stage) -> None:
    """Publish the hostile plugin, and bring its next version into review."""
    stage.submit(wheel())
    stage.work()
    for reviewer in stage.trust.reviewers[:2]:
        stage.review(*PLACE, reviewer, comment=markup("review"))
    stage.work()
    stage.submit(wheel("1.0.1"))
    stage.work()
    with stage.services.database.write() as session:
        session.execute(update(Plugin).values(owner_subject=AUTHOR))
        session.execute(update(Version).values(author_subject=AUTHOR))
        session.execute(update(Evidence).where(Evidence.step == "submit").values(subject=AUTHOR))
        session.execute(update(TimelineRow).values(actor_subject=AUTHOR, detail=markup("detail")))


ADDRESSES = (
    "/",
    "/?q=%3Cscript%3Ewindow.pwned%3D1%3C/script%3E%22%3E",
    "/?q=window.pwned",
    f"/plugins/{NAME}",
    f"/plugins/{NAME}/1.0.0",
    f"/plugins/{NAME}/1.0.1",
    "/plugins/%3Cscript%3Ewindow.pwned=1%3C%2Fscript%3E",
    "/%22%3E%3Cscript%3Ewindow.pwned=1%3C%2Fscript%3E",
    "/review",
    f"/review/{NAME}/1.0.0",
    f"/review/{NAME}/1.0.1",
    *(f"/review/{NAME}/1.0.1/files?path={quote(path)}" for path in FILE_NAMES),
    f"/review/{NAME}/1.0.1?show=split",
    f"/review/{NAME}/1.0.1/tree?q=%3Cscript%3Ewindow.pwned%3D1%3C/script%3E",
    f"/review/{NAME}/1.0.1/search?in=all&q=%3Cscript%3Ewindow.pwned",
    "/review?q=%3Cscript%3Ewindow.pwned%3D1%3C/script%3E",
    f"/review/{NAME}/1.0.1/files?path=hostile_text/__init__.py",
    f"/review/{NAME}/1.0.1/files?path=hostile_text/plugin.json&show=source",
    f"/review/{NAME}/1.0.1/files?path=%3Cscript%3Ewindow.pwned=1%3C/script%3E",
)


class Reader(HTMLParser):
    """Reads a page as a browser would, and keeps tags, attributes and text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: list[tuple[str, str, str]] = []
        self.text = ""
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]

    def handle_data(self, data: str) -> None:
        self.text += data
