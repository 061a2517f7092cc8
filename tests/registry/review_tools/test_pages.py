"""The reviewers' tools on the real application: queue, comments, presence, search, parts."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import unescape
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from registry import queries
from registry.models import Version
from registry.review_tools import comments
from registry.review_tools.models import ReviewFacts, ReviewOutline
from tests.registry.review_tools import town
from tests.registry.review_tools.town import NAME, NEXT, OWN, PATH, SOURCE, signed_in
from tests.registry.web.stage import Stage
from tests.support.evidence import AUTHOR
from tests.support.wheels import make_wheel

BOB, CAROL = "bob@example.com", "carol@example.com"
MARKUP = "<script>window.pwned=1</script>\"'><img src=x onerror=window.pwned=1>\u202e"


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    made = town.made(tmp_path)
    yield made
    made.services.close()


def words(html: str) -> str:
    return " ".join(unescape(re.sub(r"<[^>]*>", " ", html)).split())


def say(client: FlaskClient, text: str, line: int = 7, version: str = "1.1.0") -> int:
    return client.post(
        f"/review/{NAME}/{version}/comments",
        data={"path": PATH, "line": str(line), "text": text},
        headers=OWN,
    ).status_code


# The queue


def test_the_queue_tells_risk_flags_and_order(stage: Stage) -> None:
    stage.submit(make_wheel("other-plugin", "1.0.0"))
    stage.work()
    client = stage.app.test_client()
    text = words(client.get("/review").text)
    assert text.index("example-plugin 1.1.0") < text.index("other-plugin 1.0.0")
    assert "1 Medium finding" in text
    assert "first version" in text
    assert "to acknowledge" in text
    newest = words(client.get("/review?sort=newest").text)
    assert newest.index("other-plugin") < newest.index("example-plugin")
    by_risk = queries.queue(stage.services, order="risk")
    scores = [item.risk.score for item in by_risk.items if item.risk]
    assert len(scores) == 2
    assert scores == sorted(scores, reverse=True)
    only = queries.queue(stage.services, flag="first-version")
    assert [item.name for item in only.items] == ["other-plugin"]
    assert [i.name for i in queries.queue(stage.services, text="EXAMPLE").items] == [NAME]
    assert "Nothing in the queue is like that" in client.get("/review?flag=new-signer").text
    for odd in ("?sort=%00", "?flag='", "?mine=1", "?page=9&sort=risk", "?q=%25"):
        assert client.get("/review" + odd).status_code == 200


def test_pages_of_the_queue_keep_what_was_chosen(stage: Stage) -> None:
    for number in range(22):
        stage.submit(make_wheel(f"many-{number:02}", "1.0.0"))
    stage.work()
    client = stage.app.test_client()
    page = client.get("/review?q=many&sort=risk&flag=first-version").text
    link = re.search(r'rel="next" href="([^"]*)"', page)
    assert link
    address = unescape(link[1])
    assert all(part in address for part in ("q=many", "sort=risk", "flag=first-version", "page=2"))
    assert "many-" in client.get(address).text


def test_still_open_for_me_leaves_out_what_i_decided_and_what_is_mine(stage: Stage) -> None:
    bob = signed_in(stage, BOB)
    assert NAME in bob.get("/review?mine=1").text
    stage.review(NAME, "1.1.0", BOB)
    assert NAME not in words(bob.get("/review?mine=1").text)
    author = signed_in(stage, AUTHOR)
    assert NAME not in words(author.get("/review?mine=1").text)
    assert NAME in author.get("/review").text


def test_a_version_that_is_not_prepared_is_in_the_queue_and_can_be_read(stage: Stage) -> None:
    prepared = stage.app.test_client().get(f"/review/{NAME}/1.1.0").text
    with stage.services.database.write() as session:
        for table in (ReviewFacts, ReviewOutline):
            for row in session.query(table).all():
                session.delete(row)
    client = stage.app.test_client()
    assert "not worked out yet" in client.get("/review").text
    assert client.get(f"/review/{NAME}/1.1.0").text == prepared
    stage.work()
    assert "not worked out yet" not in client.get("/review").text


def test_an_outline_of_another_comparison_is_not_used(stage: Stage) -> None:
    with stage.services.database.write() as session:
        for row in session.query(ReviewOutline).all():
            row.document = row.document.replace('"before":"', '"before":"00')
    view = queries.review(stage.services, NAME, "1.1.0")
    assert view.delta is not None
    assert PATH in view.delta.changed


# Who is looking at it


def test_presence_shows_reviewers_to_those_signed_in_for_minutes(stage: Stage) -> None:
    bob, carol = signed_in(stage, BOB), signed_in(stage, CAROL)
    author, nobody = signed_in(stage, AUTHOR), stage.app.test_client()
    for client in (bob, author):
        assert client.get(f"/review/{NAME}/1.1.0").status_code == 200
    assert f"{BOB} is looking at it" in words(carol.get("/review").text)
    assert f"{BOB} opened this review" in words(carol.get(f"/review/{NAME}/1.1.0").text)
    assert "is looking at it" not in nobody.get("/review").text
    assert f"{AUTHOR} is looking" not in words(carol.get("/review").text)
    assert f"{BOB} is looking" not in words(bob.get("/review").text)
    stage.later(minutes=11)
    assert "is looking at it" not in carol.get("/review").text


# Comments


def test_only_people_who_are_signed_in_comment_and_from_our_page(stage: Stage) -> None:
    assert say(stage.app.test_client(), "hello") in (302, 303, 401, 403)
    bob = signed_in(stage, BOB)
    foreign = bob.post(
        f"/review/{NAME}/1.1.0/comments",
        data={"path": PATH, "line": "7", "text": "x"},
        headers={"Sec-Fetch-Site": "cross-site"},
    )
    assert foreign.status_code == 403
    assert "hello" not in bob.get(f"/review/{NAME}/1.1.0").text
    assert say(bob, "Why a name that can be guessed?") == 303
    assert say(signed_in(stage, AUTHOR), "Nobody else writes there.") == 303
    for address in (f"/review/{NAME}/1.1.0", f"/review/{NAME}/1.1.0/files?path={PATH}"):
        text = words(stage.app.test_client().get(address).text)
        first = text.index(f"{BOB} reviewer")
        assert first < text.index("Why a name that can be guessed?")
        assert text.index(f"{AUTHOR} author") > first


@pytest.mark.parametrize(
    ("line", "text"), [(0, "x"), (999, "x"), (7, " \n"), (7, "x" * 2001)], ids=str
)
def test_a_comment_needs_a_line_and_words(stage: Stage, line: int, text: str) -> None:
    assert say(signed_in(stage, BOB), text, line) == 422


def test_a_comment_changes_nothing_that_counts(stage: Stage) -> None:
    before = queries.version(stage.services, NAME, "1.1.0")
    assert say(signed_in(stage, BOB), "I approve this!") == 303
    assert queries.version(stage.services, NAME, "1.1.0") == before


def test_comments_follow_their_line_into_the_next_version(stage: Stage) -> None:
    who = stage.trust.identity(BOB)
    kept_at = NEXT.split("\n").index('    return {"value": arguments}') + 1
    comments.add(stage.services, NAME, "1.1.0", PATH, kept_at, "Kept?", who)
    comments.add(stage.services, NAME, "1.1.0", PATH, 8, "Gone?", who)
    stage.submit(
        make_wheel(
            NAME,
            "1.2.0",
            source="# one more\n" + SOURCE.replace('name = arguments["name"]', 'name = "you"'),
        )
    )
    stage.work()
    (file,) = queries.files(stage.services, NAME, "1.2.0", [PATH])
    said = {c.text: c for c in comments.of_files(stage.services, NAME, "1.2.0", [file])[PATH]}
    kept, gone = said["Kept?"], said["Gone?"]
    assert (kept.earlier, gone.earlier) == (True, True)
    assert file.lines[kept.shown_at - 1].text == '    return {"value": arguments}'
    assert gone.shown_at == 0
    page = f"/review/{NAME}/1.2.0/files?path={PATH}&show=source"
    text = words(stage.app.test_client().get(page).text)
    assert "on 1.1.0, line 8: that line is no longer there" in text
    assert f"on 1.1.0, line {kept_at}" in text
    assert "Kept?" not in stage.app.test_client().get(f"/review/{NAME}/1.0.0").text


def test_what_people_write_stays_text(stage: Stage) -> None:
    assert say(signed_in(stage, BOB), MARKUP) == 303
    stage.submit(make_wheel("acknowledged", "1.0.0", source=SOURCE))
    stage.work()
    for address in (
        f"/review/{NAME}/1.1.0",
        f"/review/{NAME}/1.1.0?show=split",
        f"/review/{NAME}/1.1.0/files?path={PATH}",
        f"/review/{NAME}/1.1.0/search?q=%3Cscript%3Ewindow.pwned",
        f"/review/{NAME}/1.1.0/tree?q=%3Cscript%3E&status=%22%3E",
        "/review?q=%3Cscript%3Ewindow.pwned%3D1",
    ):
        html = stage.app.test_client().get(address).text
        assert "<script>window" not in html
        assert "<img" not in html
        assert "\u202e" not in html


# Reading


def test_removed_files_and_both_views_can_be_read(stage: Stage) -> None:
    client = stage.app.test_client()
    for show in ("diff", "split", "source", "nonsense"):
        reply = client.get(f"/review/{NAME}/1.1.0/files?path={PATH}&show={show}")
        assert reply.status_code == 200
        assert "Good day" in reply.text
    split = client.get(f"/review/{NAME}/1.1.0?show=split").text
    assert '<col class="number">' in split
    assert "Hello" in split
    stage.submit(make_wheel(NAME, "1.2.0", files={"example_plugin/more.py": "x = 1\n"}))
    stage.work()


def test_search_finds_changed_lines_and_all_lines(stage: Stage) -> None:
    client = stage.app.test_client()
    place = f"/review/{NAME}/1.1.0/search"
    assert "Good day" in words(client.get(f"{place}?q=GOOD+day").text)
    assert "No line has this text" in client.get(f"{place}?q=def+echo").text
    assert "def echo" in words(client.get(f"{place}?q=def+echo&in=all").text)
    assert client.get(place).status_code == 200
    assert client.get(f"{place}?q=" + "x" * 5000).status_code == 200


def test_the_header_says_in_words_that_somebody_else_signed(stage: Stage) -> None:
    client = stage.app.test_client()
    same = words(client.get(f"/review/{NAME}/1.1.0").text)
    assert "The same identity signed 1.0.0, at the same issuer." in same
    with stage.services.database.write() as session:
        for row in session.query(Version).filter_by(number="1.1.0"):
            row.author_subject = "mallory@example.com"
    other = words(client.get(f"/review/{NAME}/1.1.0").text)
    assert "Somebody else signed this version." in other
    assert "mallory@example.com" in other
    assert "The same identity" not in other
