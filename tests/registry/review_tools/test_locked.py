"""The files of a locked wheel beside those of the wheel that the last approved version locks."""

from __future__ import annotations

from collections.abc import Iterator
from html import unescape
from pathlib import Path
from urllib.parse import quote

import pytest
from flask.testing import FlaskClient

from registry import intake
from registry.dependencies.sent import Sent
from tests.registry.web.stage import Stage
from tests.support.dependencies import LIBRARY, make_dependent, make_library
from trust.wheel import Dependency

NEWER = LIBRARY.replace('"!"', '"!!"')
REVIEW = "/review/shouter/2.0.0"


def library(version: str, name: str = "shouting", **files: str) -> tuple[Dependency, bytes]:
    return make_library(name, version, files={f"{name}/{k}.py": v for k, v in files.items()})


OLD = library("2.0", same="x = 1\n", gone="OLD = 'taken away'\n")
NEW = library("2.1", same="x = 1\n", fresh="NEW = '<script>added</script>'\n", __init__=NEWER)
ADDED = library("1.0", "whispering")


def submit(stage: Stage, version: str, *locked: tuple[Dependency, bytes]) -> None:
    names = [item.name for item, _ in locked]
    wheel = make_dependent([item for item, _ in locked], version=version, requires=names)
    sent = [Sent(item.filename, data) for item, data in locked]
    bundle = stage.trust.submit(*wheel)
    intake.submit(stage.services, *wheel, bundle, sent, permit=lambda name: None)
    stage.work()


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """A published version that locks the old wheel, and one in review that locks the new one."""
    made = Stage(tmp_path_factory.mktemp("locked"), max_dependency_bytes=1 << 20)
    submit(made, "1.0.0", OLD)
    for reviewer in made.trust.reviewers[:2]:
        made.review("shouter", "1.0.0", reviewer)
    made.work()
    submit(made, "2.0.0", NEW, ADDED)
    yield made
    made.services.close()


@pytest.fixture
def client(stage: Stage) -> FlaskClient:
    return stage.app.test_client()


def page_of(client: FlaskClient, path: str, wheel: Dependency = NEW[0]) -> str:
    reply = client.get(f"{REVIEW}/files?path={quote(f'{wheel.filename}/{path}')}")
    assert reply.status_code == 200, reply.text
    return unescape(reply.text)


def test_the_delta_leads_to_the_files_of_both(client: FlaskClient) -> None:
    text = client.get(REVIEW).text
    for item, _ in (NEW, ADDED):
        assert f'href="{REVIEW}/locked/{item.filename}"' in text
    listed = client.get(f"{REVIEW}/locked/{NEW[0].filename}").text
    assert OLD[0].sha256 in listed
    assert NEW[0].sha256 in listed
    # METADATA and RECORD change with the version, WHEEL and same.py do not.
    assert "3 files changed, 1 added, 1 removed, 2 the same" in listed
    only = client.get(f"{REVIEW}/locked/{NEW[0].filename}?status=changed").text
    assert "<bdi>shouting/__init__.py" in only
    assert "shouting/same.py" not in only


def test_a_changed_file_is_shown_as_a_diff_with_the_earlier_wheel(client: FlaskClient) -> None:
    text = page_of(client, "shouting/__init__.py")
    assert 'class="removed"' in text
    assert 'class="added"' in text
    assert "Compared with shouting 2.0, locked by 1.0.0" in text
    assert "Next file" in text
    assert "Comment on line" not in text
    split = client.get(f"{REVIEW}/files?show=split&path={NEW[0].filename}/shouting/__init__.py")
    assert "Earlier text" in split.text


def test_files_that_came_went_and_stayed(client: FlaskClient) -> None:
    assert '<span class="status added">added' in page_of(client, "shouting/fresh.py")
    gone = page_of(client, "shouting/gone.py")
    assert '<span class="status removed">removed' in gone
    assert "taken away" in gone
    assert '<span class="status same">same' in page_of(client, "shouting/same.py")
    # A library that the earlier version does not lock is new as a whole.
    listed = client.get(f"{REVIEW}/locked/{ADDED[0].filename}").text
    assert "New among the dependencies" in listed
    assert "status same" not in listed.replace("status same</option>", "")
    assert '<span class="status added">added' in page_of(client, "whispering/__init__.py", ADDED[0])


def test_an_authors_text_stays_text(client: FlaskClient) -> None:
    reply = client.get(f"{REVIEW}/files?path={NEW[0].filename}/shouting/fresh.py")
    assert "<script>added" not in reply.text
    assert "&lt;script&gt;added" in reply.text


def test_wheels_of_other_versions_are_not_here(client: FlaskClient) -> None:
    for address in (
        f"{REVIEW}/locked/{OLD[0].filename}",
        f"/review/shouter/1.0.0/locked/{NEW[0].filename}",
        f"{REVIEW}/locked/nothing.whl",
        f"{REVIEW}/files?path={OLD[0].filename}/shouting/gone.py",
    ):
        assert client.get(address).status_code == 404
    first = client.get(f"/review/shouter/1.0.0/locked/{OLD[0].filename}").text
    assert "First version: there is nothing to compare with." in first


def test_without_the_earlier_wheel_all_of_it_is_to_be_read(tmp_path: Path) -> None:
    stage = Stage(tmp_path, max_dependency_bytes=1 << 20)
    submit(stage, "1.0.0", OLD)
    for reviewer in stage.trust.reviewers[:2]:
        stage.review("shouter", "1.0.0", reviewer)
    stage.work()
    submit(stage, "2.0.0", NEW)
    stage.services.blobs.path(OLD[0].sha256).unlink()
    client = stage.app.test_client()
    assert "nothing can be compared" in client.get(f"{REVIEW}/locked/{NEW[0].filename}").text
    assert '<span class="status added">added' in page_of(client, "shouting/same.py")
    stage.services.close()
