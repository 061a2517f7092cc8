"""Whatever an author or a reviewer writes stays text, on every page of the real application."""

from __future__ import annotations

import io
from collections.abc import Iterator

import pytest

from tests.registry.web import hostile
from tests.registry.web.stage import Stage
from tests.support.wheels import make_wheel


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    made = Stage(tmp_path_factory.mktemp("hostile"))
    hostile.build(made)
    yield made
    made.services.close()


@pytest.mark.parametrize("address", hostile.ADDRESSES)
def test_no_page_carries_markup_of_theirs(stage: Stage, address: str) -> None:
    reply = stage.app.test_client().get(address)
    assert reply.status_code in (200, 404)
    check(reply.text)


@pytest.mark.parametrize("path", hostile.REFUSED_FILE_NAMES)
def test_no_refusal_carries_markup_of_theirs(stage: Stage, path: str) -> None:
    _, wheel = make_wheel(files={path: "x", f"{path}.pth": "y"})
    for filename in ("<script>window.pwned=1</script>-1-py3-none-any.whl", "a-1-py3-none-any.whl"):
        reply = stage.app.test_client().post(
            "/submit",
            data={"wheel": (io.BytesIO(wheel), filename), "bundle": (io.BytesIO(b"{}"), "b.json")},
            headers={"Sec-Fetch-Site": "same-origin"},
        )
        assert reply.status_code == 422
        check(reply.text)


def check(html: str) -> None:
    """Refuse any tag or attribute that our templates do not make, and any hidden character."""
    ours = hostile.OWN_SCRIPT.findall(html)
    page = hostile.Reader(hostile.OWN_SCRIPT.sub("", html))
    assert len(ours) <= 2
    assert page.tags <= hostile.ALLOWED_TAGS
    for _tag, name, value in page.attributes:
        assert not name.startswith("on")
        assert name != "style"
        if name in ("href", "src", "action"):
            assert value.startswith(("/", "#"))
    assert "\u202e" not in html


@pytest.mark.parametrize(
    ("address", "places"),
    [
        ("/", ["summary"]),
        (f"/plugins/{hostile.NAME}", ["summary", "method", "property", "description"]),
        (f"/plugins/{hostile.NAME}/1.0.0", ["summary", "review", "author"]),
        (f"/review/{hostile.NAME}/1.0.0", ["summary", "method", "comment", "string", "finding"]),
        (f"/review/{hostile.NAME}/1.0.1", ["summary", "method", "finding", "text"]),
        ("/review", ["summary", "author"]),
    ],
)
def test_their_text_is_shown_as_they_wrote_it(
    stage: Stage, address: str, places: list[str]
) -> None:
    text = hostile.Reader(stage.app.test_client().get(address).text).text
    for place in places:
        assert f"<script>window.pwned='{place}'</script>" in text


def test_autoescape_cannot_be_off(stage: Stage) -> None:
    env = stage.app.jinja_env
    assert callable(env.autoescape)
    assert all(env.autoescape(name) for name in env.list_templates())
    for name in env.list_templates():
        source, _, _ = env.loader.get_source(env, name) if env.loader else ("", None, None)
        assert "| safe" not in source
        assert "autoescape" not in source
