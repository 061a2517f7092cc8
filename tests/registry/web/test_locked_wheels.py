"""Locked wheels in the submit form: taken, checked beforehand, refused in the API's words."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import FilePayload, Page, expect
from werkzeug.test import TestResponse

from registry import queries
from registry.settings import SignIn
from tests.registry.web import browser
from tests.registry.web.stage import Stage
from tests.support.dependencies import make_dependent, make_library
from trust.wheel.bounds import MAX_DEPENDENCIES

OWN = {"Sec-Fetch-Site": "same-origin", "Origin": "http://localhost"}
LIBRARY, DATA = make_library()
OTHER, OTHER_DATA = make_library("whispering")
WHEEL = make_dependent([LIBRARY], requires=["shouting"])
BYTES = 1 << 20

Files = Sequence[tuple[str, bytes]]


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    made = Stage(tmp_path, max_dependency_bytes=BYTES)
    yield made
    made.services.close()


def send(
    stage: Stage,
    address: str,
    locked: Files,
    wheel: tuple[str, bytes] = WHEEL,
    cookie: str = "",
) -> TestResponse:
    data: dict[str, Any] = {
        "wheel": (io.BytesIO(wheel[1]), wheel[0]),
        "bundle": (io.BytesIO(stage.trust.submit(*wheel)), "b.sigstore.json"),
        "dependency": [(io.BytesIO(content), name) for name, content in locked],
    }
    headers = OWN | ({"Cookie": cookie} if cookie else {})
    return stage.app.test_client(use_cookies=False).post(address, data=data, headers=headers)


def test_the_form_takes_what_the_lock_names(stage: Stage) -> None:
    reply = send(stage, "/submit", [(LIBRARY.filename, DATA)])
    assert (reply.status_code, reply.location) == (303, "/plugins/shouter/1.0.0"), reply.text
    assert stage.services.blobs.read(LIBRARY.sha256) == DATA
    # Another version that locks the same wheel: a browser sends the empty field as an empty file.
    again = make_dependent([LIBRARY], version="1.1.0", requires=["shouting"])
    assert send(stage, "/submit", [("", b"")], again).status_code == 303


@pytest.mark.parametrize(
    ("locked", "status", "code", "said"),
    [
        ([], 422, "registry.dependency-missing", LIBRARY.filename),
        ([("", b"")], 422, "registry.dependency-missing", f"sha256:{LIBRARY.sha256}"),
        (
            [(LIBRARY.filename, DATA), (OTHER.filename, OTHER_DATA)],
            422,
            "registry.dependency-not-locked",
            f"{OTHER.filename} sha256:{OTHER.sha256}",
        ),
        (
            [(LIBRARY.filename, DATA[:-1])],
            422,
            "registry.dependency-differs",
            f"sha256:{LIBRARY.sha256}",
        ),
        (
            [(f"{n}.whl", b"x") for n in range(MAX_DEPENDENCIES + 1)],
            413,
            "registry.dependencies-too-many",
            f"{MAX_DEPENDENCIES + 1} files",
        ),
        (
            [(f"{n}.whl", b"x") for n in range(MAX_DEPENDENCIES * 2)],
            413,
            "registry.dependencies-too-many",
            f"at most {MAX_DEPENDENCIES} wheels",
        ),
        (
            [("a.whl", b"a" * BYTES), ("b.whl", b"b")],
            413,
            "registry.dependencies-too-large",
            f"{BYTES + 1} bytes",
        ),
    ],
    ids=[
        "none",
        "empty",
        "not in the lock",
        "other bytes",
        "too many",
        "far too many",
        "too large",
    ],
)
def test_what_is_refused_is_refused_alike_at_every_door(
    stage: Stage, locked: Files, status: int, code: str, said: str
) -> None:
    form = send(stage, "/submit", locked)
    api = send(stage, "/api/v1/submissions", locked)
    check = send(stage, "/submit/check", locked)
    assert [reply.status_code for reply in (form, api, check)] == [status] * 3
    problems = api.get_json()["problems"]
    assert [problem["code"] for problem in problems] == [code]
    assert said in str(problems)
    for page in (form, check):
        assert code in page.text
        assert said in unescape(page.text)
    assert queries.search_plugins(stage.services).total == 0
    assert not stage.services.blobs.has(LIBRARY.sha256)


def test_the_check_says_it_to_a_script_too(stage: Stage) -> None:
    client = stage.app.test_client()

    def check(locked: Files) -> Any:
        data = {
            "wheel": (io.BytesIO(WHEEL[1]), WHEEL[0]),
            "dependency": [(io.BytesIO(content), name) for name, content in locked],
        }
        headers = {**OWN, "Accept": "application/json"}
        return client.post("/submit/check", data=data, headers=headers).get_json()

    assert check([])["problems"][0]["code"] == "registry.dependency-missing"
    many = check([(f"{n}.whl", b"x") for n in range(MAX_DEPENDENCIES + 1)])
    assert (many["accepted"], len(many["problems"])) == (False, 1)
    good = check([(LIBRARY.filename, DATA)])
    assert good["accepted"], good
    assert good["facts"][-1][1].startswith("1: shouting 2.0 (the digests;")
    assert not stage.services.blobs.has(LIBRARY.sha256)


def test_strangers_have_digests_compared_and_nothing_unpacked(tmp_path: Path) -> None:
    """Reading 64 wheels takes minutes of CPU at worst: that is for people who are known."""
    native, data = make_library(files={"shouting/x.so": b"\x7fELF"})
    wheel = make_dependent([native], requires=["shouting"])
    sign_in = SignIn("https://authority.test", "registry", tmp_path / "session.key")
    stage = Stage(tmp_path, max_dependency_bytes=BYTES, sign_in=sign_in)
    locked = [(native.filename, data)]
    reply = send(stage, "/submit/check", locked, wheel)
    assert reply.status_code == 200
    assert "what is in them is read for people signed in" in reply.text
    cookie = stage.cookie(stage.trust.author.subject)
    reply = send(stage, "/submit/check", locked, wheel, f"{cookie['name']}={cookie['value']}")
    assert reply.status_code == 422
    assert "shouting/x.so" in reply.text
    assert send(stage, "/submit", locked, wheel).status_code == 422
    stage.services.close()


def test_a_registry_that_takes_none_offers_none(tmp_path: Path) -> None:
    stage = Stage(tmp_path)
    assert 'name="dependency"' not in stage.app.test_client().get("/submit").text
    stage.services.close()


def choose(page: Page, field: str, *files: tuple[str, bytes]) -> None:
    kind = "application/octet-stream"
    chosen: list[FilePayload] = [{"name": n, "mimeType": kind, "buffer": d} for n, d in files]
    page.set_input_files(f"#{field}", files=chosen)


@pytest.mark.browser
@pytest.mark.slow
def test_in_a_browser_without_scripts_and_with_them(stage: Stage) -> None:
    bundle = ("b.sigstore.json", stage.trust.submit(*WHEEL))
    with stage.served() as base, browser.chromium() as chromium:
        with chromium.new_context() as context:
            page = context.new_page()
            page.goto(f"{base}/submit")
            choose(page, "wheel", WHEEL)
            result = page.locator("#check-result")
            expect(result).to_contain_text("Would be refused for 1 reason")
            expect(result).to_contain_text(LIBRARY.filename)
            expect(page.get_by_role("button", name="Submit for scan")).to_be_hidden()
            choose(page, "dependency", (LIBRARY.filename, DATA), (OTHER.filename, OTHER_DATA))
            expect(result).to_contain_text("registry.dependency-not-locked")
            choose(page, "dependency", (LIBRARY.filename, DATA))
            expect(result).to_contain_text("Reads well")
            expect(result).to_contain_text("shouting 2.0")
            expect(page.get_by_role("button", name="Submit for scan")).to_be_visible()
            assert browser.violations(page) == []
        with chromium.new_context(java_script_enabled=False) as context:
            page = context.new_page()
            page.goto(f"{base}/submit")
            choose(page, "wheel", WHEEL)
            choose(page, "bundle", bundle)
            page.get_by_role("button", name="Submit for scan").click()
            expect(page.get_by_role("alert")).to_contain_text("registry.dependency-missing")
            choose(page, "wheel", WHEEL)
            choose(page, "dependency", (LIBRARY.filename, DATA))
            page.get_by_role("button", name="Check only").click()
            expect(page.get_by_role("status").first).to_contain_text("reads well")
            choose(page, "wheel", WHEEL)
            choose(page, "bundle", bundle)
            choose(page, "dependency", (LIBRARY.filename, DATA))
            page.get_by_role("button", name="Submit for scan").click()
            expect(page).to_have_url(f"{base}/plugins/shouter/1.0.0")
    assert stage.services.blobs.has(LIBRARY.sha256)
