"""The desk without a browser: who may, what is shown, and that none of it counts."""

from __future__ import annotations

import io
import shutil
from collections.abc import Iterator
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from registry import queries
from registry.author_desk import answers, desk, transfers
from registry.author_desk.models import Answer, DeskEvent, Transfer
from registry.models import Evidence, Plugin
from registry.operations import journal
from tests.registry.accounts.people import ADMIN, AUTHOR, OTHER, OWN, REVIEWERS, Town
from tests.registry.web import hostile
from tests.support.evidence import TrustFixture
from tests.support.wheels import make_wheel

NAME = "example-plugin"
XSS = hostile.markup("answer")
BOB, CAROL = REVIEWERS[:2]


@pytest.fixture(scope="module")
def filled(trust: TrustFixture, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a registry with `example-plugin` 1.0.0 rejected and 1.1.0 in review."""
    folder = tmp_path_factory.mktemp("filled")
    made = Town(trust, folder)
    submit(made, "1.0.0")
    review(made, "1.0.0", BOB, decision="reject", comment=XSS)
    submit(made, "1.1.0")
    made.registry.services.close()
    return folder


@pytest.fixture
def town(trust: TrustFixture, filled: Path, tmp_path: Path) -> Iterator[Town]:
    """A registry of one's own, as `filled` left it."""
    folder = shutil.copytree(filled, tmp_path / "registry")
    made = Town(trust, folder)
    yield made
    made.registry.services.close()


def submit(town: Town, version: str, by: str = AUTHOR) -> None:
    assert town.registry.submit(*make_wheel(NAME, version), by=by).status_code == 201
    work(town)


def work(town: Town) -> None:
    while town.registry.worker.run_once():
        pass


def review(town: Town, version: str, by: str, **changes: Any) -> None:
    bundle = town.registry.review_bundle(by, NAME, version, **changes)
    assert town.registry.post_review(bundle, NAME, version).status_code == 201


def post(town: Town, who: str | None, address: str, **form: str) -> Any:
    return town.client(who).post(address, data=form, headers=OWN)


def offer_id(town: Town) -> int:
    with town.registry.services.database.read() as session:
        return session.scalars(select(Transfer.id).order_by(Transfer.id.desc())).first() or 0


def owner(town: Town) -> str:
    return queries.plugin(town.registry.services, NAME).owner.subject


# -- checking before signing ------------------------------------------------------------------


def check(town: Town, wheel: tuple[str, bytes], accept: str = "text/html", **headers: str) -> Any:
    return town.client().post(
        "/submit/check",
        data={"wheel": (io.BytesIO(wheel[1]), wheel[0])},
        headers={**OWN, "Accept": accept, **headers},
    )


def test_a_check_says_everything_at_once_and_stores_nothing(town: Town) -> None:
    services = town.registry.services
    bad = make_wheel("new-plugin", files={"new_plugin/x.so": b"\x7fELF", "x.pth": "import os\n"})
    told = check(town, bad, "application/json").get_json()
    assert told["accepted"] is False
    assert len(told["problems"]) >= 2
    assert all(p["what"] and p["expected"] and p["advice"] for p in told["problems"])
    page = check(town, bad)
    assert page.status_code == 422
    text = unescape(page.text)
    for problem in told["problems"]:
        assert problem["code"] in text
        assert problem["advice"] in text
    good = make_wheel("new-plugin")
    assert check(town, good, "application/json").get_json()["accepted"] is True
    assert "reads well" in check(town, good).text
    assert queries.search_plugins(services, "new-plugin").total == 0


def test_a_check_is_the_intakes_own(town: Town) -> None:
    other = make_wheel(NAME, "1.0.0", files={"example_plugin/more.py": "x = 1\n"})
    told = check(town, other, "application/json").get_json()
    assert [p["code"] for p in told["problems"]] == ["registry.version-exists"]
    taken = town.client(OTHER).post(
        "/submit/check",
        data={"wheel": (io.BytesIO(make_wheel(NAME, "3.0.0")[1]), make_wheel(NAME, "3.0.0")[0])},
        headers={**OWN, "Accept": "application/json"},
    )
    assert [p["code"] for p in taken.get_json()["problems"]] == ["registry.name-taken"]


def test_a_check_of_another_site_is_refused(town: Town) -> None:
    foreign = {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"}
    assert check(town, make_wheel(), **foreign).status_code == 403


# -- following ---------------------------------------------------------------------------------


def test_a_version_is_followed_by_its_entity_tag(town: Town) -> None:
    client, address = town.client(), f"/plugins/{NAME}/1.1.0/live"
    first = client.get(address)
    assert first.get_json()["waits"] == "0 of 2 approvals"
    assert first.get_json()["follows"] is True
    tag = first.headers["ETag"]
    assert tag.strip('"') in client.get(f"/plugins/{NAME}/1.1.0").text
    assert client.get(address, headers={"If-None-Match": tag}).status_code == 304
    review(town, "1.1.0", BOB)
    second = client.get(address, headers={"If-None-Match": tag})
    assert (second.status_code, second.get_json()["waits"]) == (200, "1 of 2 approvals")
    assert client.get(f"/plugins/{NAME}/1.0.0/live").get_json()["follows"] is False


def test_without_a_script_a_page_reloads_itself_where_it_is_asked_to(town: Town) -> None:
    client = town.client()
    page = client.get(f"/plugins/{NAME}/1.1.0")
    assert "Refresh" not in page.headers
    assert "Reload this page every 10 seconds" in page.text
    assert client.get(f"/plugins/{NAME}/1.1.0?refresh=10").headers["Refresh"] == "10"
    assert client.get(f"/plugins/{NAME}/1.1.0?refresh=1").headers["Refresh"] == "5"
    assert "Refresh" not in client.get(f"/plugins/{NAME}/1.1.0?refresh=x").headers
    assert "Refresh" not in client.get(f"/plugins/{NAME}/1.0.0?refresh=10").headers


# -- answers -----------------------------------------------------------------------------------


def test_an_author_answers_and_reviewers_read_it(town: Town) -> None:
    address = f"/plugins/{NAME}/1.0.0/answers"
    reply = post(town, AUTHOR, address, text=f"It is intended. {XSS}")
    assert reply.status_code == 303
    for page in (f"/plugins/{NAME}/1.0.0", f"/review/{NAME}/1.1.0"):
        found = hostile.Reader(town.client().get(page).text)
        assert "It is intended." in found.text
        assert "<script>window.pwned='answer'</script>" in found.text
        assert not any(name.startswith("on") for _, name, _ in found.attributes)


@pytest.mark.parametrize("who", [None, OTHER, BOB, ADMIN])
def test_nobody_else_answers(town: Town, who: str | None) -> None:
    reply = post(town, who, f"/plugins/{NAME}/1.0.0/answers", text="Me too.")
    assert reply.status_code in (401, 403)
    with town.registry.services.database.read() as session:
        assert session.scalars(select(Answer)).all() == []


@pytest.mark.parametrize(
    "headers",
    [{}, {"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}],
    ids=["nothing", "origin", "fetch-metadata"],
)
@pytest.mark.parametrize(
    ("address", "form"),
    [
        (f"/plugins/{NAME}/1.0.0/answers", {"text": "x"}),
        (f"/plugins/{NAME}/transfer", {"to": OTHER}),
        ("/transfers/1/accept", {}),
        (f"/plugins/{NAME}/stop", {}),
    ],
)
def test_another_sites_forms_change_nothing(
    town: Town, address: str, form: dict[str, str], headers: dict[str, str]
) -> None:
    assert town.client(AUTHOR).post(address, data=form, headers=headers).status_code == 403
    with town.registry.services.database.read() as session:
        assert session.scalars(select(DeskEvent)).all() == []


def test_answers_are_bounded(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    address = f"/plugins/{NAME}/1.0.0/answers"
    for text in ("", "  \n", "x" * (answers.MAX_TEXT + 1)):
        assert post(town, AUTHOR, address, text=text).status_code == 400
    monkeypatch.setattr(answers, "MAX_ANSWERS", 1)
    assert post(town, AUTHOR, address, text="one").status_code == 303
    assert post(town, AUTHOR, address, text="two").status_code == 409


def test_answers_count_for_nothing(town: Town) -> None:
    services = town.registry.services
    before = queries.version(services, NAME, "1.1.0")
    for _ in range(3):
        post(town, AUTHOR, f"/plugins/{NAME}/1.1.0/answers", text="approve")
    after = queries.version(services, NAME, "1.1.0")
    assert (after.state, after.approvals, after.evidence) == (
        before.state,
        before.approvals,
        before.evidence,
    )


# -- newer uploads -----------------------------------------------------------------------------


def test_a_newer_upload_is_said_and_approvals_stay_with_their_bytes(town: Town) -> None:
    services = town.registry.services
    review(town, "1.1.0", BOB)
    submit(town, "1.2.0")
    older = desk.notes(services, NAME, "1.1.0", None)
    newer = desk.notes(services, NAME, "1.2.0", None)
    assert (older.superseded_by, newer.supersedes) == ("1.2.0", ("1.1.0",))
    assert queries.version(services, NAME, "1.1.0").approvals == 1
    assert queries.version(services, NAME, "1.2.0").approvals == 0
    page = town.client().get(f"/plugins/{NAME}/1.1.0").text
    assert "its approvals count for its own bytes only" in page
    assert "none of those counts here" in town.client().get(f"/review/{NAME}/1.2.0").text
    with services.database.read() as session:
        digests = [row.sha256 for row in session.scalars(select(Evidence))]
    assert len(digests) == len(set(digests))


# -- own plugins -------------------------------------------------------------------------------


def test_my_plugins_say_what_is_asked(town: Town) -> None:
    services = town.registry.services
    assert town.client().get("/mine").status_code == 303  # to the sign-in
    (own,) = desk.own_plugins(services, town.identity(AUTHOR)).items
    assert [v.line.version for v in own.versions] == ["1.1.0", "1.0.0"]
    assert [v.ask for v in own.versions] == ["", ""]  # a newer version answers for the older one
    review(town, "1.1.0", BOB, decision="reject", comment="No.")
    (own,) = desk.own_plugins(services, town.identity(AUTHOR)).items
    assert "rejected" in own.versions[0].ask
    assert "Read why it was rejected" in town.client(AUTHOR).get("/mine").text
    post(town, AUTHOR, f"/plugins/{NAME}/1.1.0/answers", text="Yes.")
    (own,) = desk.own_plugins(services, town.identity(AUTHOR)).items
    assert own.versions[0].ask == ""
    assert desk.own_plugins(services, town.identity(OTHER)).items == ()


# -- names that change hands -------------------------------------------------------------------


def test_a_name_changes_hands_only_by_offer_and_acceptance(town: Town) -> None:
    address = f"/plugins/{NAME}/transfer"
    assert post(town, OTHER, address, to=OTHER).status_code == 403
    assert post(town, ADMIN, address, to=ADMIN).status_code in (400, 403)
    for nobody in ("", AUTHOR, "a b@example.com", "x\u202ey@example.com"):
        assert post(town, AUTHOR, address, to=nobody).status_code == 400
    assert post(town, AUTHOR, address, to=OTHER).status_code == 303
    assert post(town, AUTHOR, address, to=BOB).status_code == 409
    number = offer_id(town)
    for who in (AUTHOR, BOB, ADMIN):
        assert post(town, who, f"/transfers/{number}/accept").status_code == 403
        assert owner(town) == AUTHOR
    for who in (OTHER, BOB):
        assert post(town, who, f"/transfers/{number}/withdraw").status_code == 403
        assert post(town, who, f"/transfers/{number}/cancel").status_code == 403
    assert post(town, OTHER, f"/transfers/{number}/steal").status_code == 404
    assert post(town, OTHER, f"/transfers/{number}/accept").status_code == 303
    assert owner(town) == OTHER
    assert f"handed over by <bdi>{AUTHOR}" in town.client().get(f"/plugins/{NAME}").text
    assert post(town, OTHER, f"/transfers/{number}/accept").status_code == 409
    assert post(town, AUTHOR, address, to=AUTHOR).status_code in (400, 403)


@pytest.mark.parametrize(
    ("action", "who"), [("decline", OTHER), ("withdraw", AUTHOR), ("cancel", ADMIN)]
)
def test_an_offer_that_ended_cannot_be_accepted(town: Town, action: str, who: str) -> None:
    post(town, AUTHOR, f"/plugins/{NAME}/transfer", to=OTHER)
    number = offer_id(town)
    assert post(town, who, f"/transfers/{number}/{action}").status_code == 303
    assert post(town, OTHER, f"/transfers/{number}/accept").status_code == 409
    assert owner(town) == AUTHOR


def test_an_offer_of_a_former_owner_gives_nothing(town: Town) -> None:
    services = town.registry.services
    transfers.offer(services, NAME, town.identity(AUTHOR), town.identity(OTHER))
    with services.database.write() as session:
        row = session.scalars(select(Plugin).where(Plugin.name == NAME)).one()
        row.owner_subject = BOB
    assert post(town, OTHER, f"/transfers/{offer_id(town)}/accept").status_code == 409
    assert owner(town) == BOB


def test_the_next_version_is_marked_and_the_former_owners_is_not_published(town: Town) -> None:
    registry = town.registry
    post(town, AUTHOR, f"/plugins/{NAME}/transfer", to=OTHER)
    post(town, OTHER, f"/transfers/{offer_id(town)}/accept")
    for reviewer in (BOB, CAROL):
        review(town, "1.1.0", reviewer)
    work(town)
    assert queries.version(registry.services, NAME, "1.1.0").state == "in_review"
    submit(town, "2.0.0", by=OTHER)
    notes = desk.notes(registry.services, NAME, "2.0.0", None)
    assert notes.new_owner is not None
    assert "New owner." in town.client().get(f"/review/{NAME}/2.0.0").text
    for reviewer in (BOB, CAROL):
        review(town, "2.0.0", reviewer)
    work(town)
    assert queries.version(registry.services, NAME, "2.0.0").state == "published"
    submit(town, "2.1.0", by=OTHER)
    assert desk.notes(registry.services, NAME, "2.1.0", None).new_owner is None


# -- the journal -------------------------------------------------------------------------------


def test_the_journal_is_the_admins_and_has_everything_in_order(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    services = town.registry.services
    for who in (None, AUTHOR, BOB):
        assert town.client(who).get("/journal").status_code in (303, 403)
        assert town.client(who).get("/operate").status_code in (303, 403)
    town.token(AUTHOR, ["read"])
    post(town, AUTHOR, f"/plugins/{NAME}/1.0.0/answers", text="Because.")
    post(town, AUTHOR, f"/plugins/{NAME}/transfer", to=OTHER)
    monkeypatch.setattr(journal, "PER_PAGE", 3)
    seen: list[journal.Entry] = []
    after = ""
    for _ in range(50):
        page = journal.read(services, journal.Filter(), after)
        seen += page.entries
        after = page.older
        if not after:
            break
    assert len({(e.source, e.id) for e in seen}) == len(seen)
    assert [e.at for e in seen] == sorted((e.at for e in seen), reverse=True)
    events = [e.event for e in seen]
    assert events.count("submitted") == 2
    for event in ("rejected", "answered", "transfer-offered", "token-made", "scan-passed"):
        assert event in events
    by_bob = journal.read(services, journal.Filter(person=BOB))
    assert [e.event for e in by_bob.entries] == ["rejected"]
    assert journal.read(services, journal.Filter(plugin="no-such")).entries == ()
    for nonsense in ("x", "~~", "2026~names~1", "9999-99-99T00:00:00.000000Z~names~1"):
        assert journal.read(services, journal.Filter(), nonsense).entries == tuple(seen[:3])
    page_ = town.client(ADMIN).get(f"/journal?plugin={NAME}&source=names")
    assert page_.status_code == 200
    assert "Name offered" in page_.text
    hostile_ = town.client(ADMIN).get("/journal?person=" + XSS.replace("&", ""))
    assert "<script>window" not in hostile_.text
