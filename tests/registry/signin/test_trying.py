"""Trying a method in the page: real registry, authority and runner, in a real browser.

What is shown is the road from the form to the record and back; the sandbox is the recording one.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Any, cast

import pytest
from playwright.sync_api import Browser, Locator, Page, Response, expect

from registry.calling import CallingSettings
from registry.services import current
from runner.policy_file import parse_policy
from runner.receipts import verify_reply_receipt
from runner.sandbox import Execution, Job
from sealgate.settings import registry_settings
from tests.registry.signin.site import ALICE, REVIEWERS, Site, served_at
from tests.registry.web import browser, hostile
from tests.registry.web.stage import Stage
from tests.runner import kit
from tests.support.wheels import make_manifest, make_wheel
from trust.outcomes import Passed

pytestmark = [pytest.mark.browser, pytest.mark.slow]
NAME = "try-me"
PROPERTIES: dict[str, Any] = {
    "name": {"type": "string", "title": "Whom to greet", "pattern": "^[A-Z]", "maxLength": 40,
             "description": "Begins with a capital."},
    "times": {"type": "integer", "minimum": 1, "maximum": 10, "default": 2},
    "share": {"type": "number", "exclusiveMinimum": 0},
    "loud": {"type": "boolean", "default": True},
    "mode": {"enum": ["plain", 7, None], "default": "plain"},
    "tags": {"type": "array", "items": {"type": "string"}, "default": ["a"]},
    'x/~"<b>': {"type": "string", "title": hostile.markup("title"),
                "description": hostile.markup("description"), "maxLength": 9},
}  # fmt: skip
GREET = {
    "callable": "try_me:greet",
    "summary": hostile.markup("method"),
    "arguments": {
        "type": "object",
        "properties": PROPERTIES,
        "required": ["name", "loud"],
        "additionalProperties": False,
    },
    "result": {},
}
COUNT = {
    "callable": "try_me:count",
    "summary": "Counts.",
    "arguments": {
        "type": "object",
        "properties": {
            "start": {"type": "integer", "minimum": 0},
            "steps": {"type": "array", "items": {"type": "integer"}},
            "unit": {"type": "string", "maxLength": 9},
            "scale": {"type": "number"},
        },
        "required": ["start", "steps"],
        "dependentRequired": {"unit": ["scale"]},
        "additionalProperties": False,
    },
    "result": {},
}
EITHER = {
    "callable": "try_me:either",
    "summary": "One field for all arguments.",
    "arguments": {"type": "object", "required": ["left"], "oneOf": [{}]},
    "result": {},
}


def executed(job: Job) -> Execution:
    result = {"echo": json.loads(job.arguments), "html": hostile.markup("result")}
    output = hostile.markup("stdout")
    return kit.executed(job, result=result, stdout=output, stderr=hostile.markup("stderr"))


@dataclass
class Town:
    """The three services, and what the runner is asked."""

    site: Site
    stage: Stage
    runner: kit.Site
    calls: kit.Calls

    @property
    def page(self) -> str:
        return f"{self.site.url}/plugins/{NAME}/1.0.0"

    def set_policy(self, **changes: Any) -> None:
        """Change the runner's policy, and let it be seen."""
        path = self.runner.keys / "runner_policy.json"
        path.write_text(json.dumps(self.runner.policy | changes))
        assert self.calls.service.live_policy.look().problems == ()


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    folder = tmp_path_factory.mktemp("town")
    site = Site(folder / "site")
    own = registry_settings(site.deployment)
    assert own.calling == CallingSettings(site.deployment.addresses.runner, "sealgate-runner-pages")
    (folder / "stage").mkdir()
    stage = Stage(folder / "stage", base_url=site.url, sign_in=own.sign_in, calling=own.calling)
    methods = {"greet": GREET, "count": COUNT, "either": EITHER}
    source = "\n\n".join(f"def {name}(arguments):\n    return {{}}\n" for name in methods)
    manifest = make_manifest(NAME, methods=methods)
    stage.publish(make_wheel(NAME, source=source, manifest=manifest))
    stage.submit(make_wheel(NAME, "1.1.0", source=source, manifest=manifest))
    runner = kit.Site(folder / "runner", stage.trust, cast("kit.TestRegistry", site))
    with ExitStack() as stack:
        stack.callback(site.close)
        made = json.loads(site.deployment.runner_policy.read_bytes())
        assert parse_policy(site.deployment.runner_policy.read_bytes()).issuers
        assert made["browser_origins"] == [site.url]
        people = [who for who in made["callers"] if "identity" in who]
        assert [who["identity"]["subject"] for who in people] == [ALICE, *REVIEWERS]
        for who in people[:-1]:
            who["allow"] = [{"plugin": NAME, "versions": "*", "methods": ["*"]}]
        people[-1]["allow"] = []
        runner.policy |= {
            "registry": site.url,
            "issuers": made["issuers"],
            "browser_origins": made["browser_origins"],
            "callers": people,
            "plugins": [
                {"name": NAME, "publishers": [stage.trust.author.as_dict()], "versions": "*"}
            ],
        }
        runner.sandbox.behave = executed
        calls = stack.enter_context(runner.runner())
        for url, app in (
            (site.issuer, site.authority_app),
            (site.url, stage.app),
            (own.calling.runner_url, calls.service.app),
        ):
            stack.enter_context(served_at(url, app))
        yield Town(site, stage, runner, calls)


@pytest.fixture
def page(chromium: Browser, town: Town) -> Iterator[Page]:
    """A page of a browser in which Alice is signed in at the registry."""
    with chromium.new_context(accept_downloads=True) as context:
        yield signed_in(context.new_page(), town, ALICE)


def signed_in(page: Page, town: Town, who: str) -> Page:
    page.set_default_timeout(10_000)
    page.goto(f"{town.site.url}/signin?next=/plugins/{NAME}/1.0.0")
    page.get_by_label("E-mail address").fill(who)
    page.get_by_label("Password").fill(town.site.password(who))
    page.get_by_role("button", name="Sign in").click()
    expect(page).to_have_url(town.page)
    return page


def call(page: Page, town: Town, who: str = ALICE, method: str = "greet") -> str:
    """Call with the window; return what the window said."""
    with page.expect_popup() as opened:
        page.get_by_role("button", name=f"Call {method}").click()
    window = opened.value
    window.get_by_label("E-mail address").fill(who)
    window.get_by_label("Password").fill(town.site.password(who))
    said = window.locator("main").inner_text()
    window.get_by_role("button", name="Sign in", exact=True).click()
    return said


def status(page: Page) -> Locator:
    return page.locator("#try [data-part=status]").first


def test_a_call_from_the_form_and_its_errors_at_their_fields(page: Page, town: Town) -> None:
    errors: list[str] = []
    sent: list[Response] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("response", lambda reply: sent.append(reply) if "/v1/" in reply.url else None)
    form = page.get_by_role("form", name="Arguments of greet")
    expect(form.get_by_label("times")).to_have_value("2")
    expect(form.get_by_label("times")).to_have_attribute("max", "10")
    expect(form.get_by_label("mode")).to_have_value('"plain"')
    expect(form.get_by_label("loud")).to_have_value("true")
    # Not JSON: said at its field, and nobody is asked.
    form.get_by_label("tags").fill("[")
    page.get_by_role("button", name="Call greet").click()
    expect(form.get_by_label("tags")).to_have_attribute("aria-invalid", "true")
    expect(form.get_by_role("alert")).to_contain_text("Mend the marked fields")
    form.get_by_label("tags").fill('["b", 12345678901234567890]')
    # What the runner finds wrong stands at its fields.
    form.get_by_label("Whom to greet").fill("ada")
    form.get_by_label("mode").select_option("null")
    said = call(page, town)
    assert "call plugins at the runner as you" in said
    expect(form.get_by_role("alert")).to_contain_text("The arguments are not valid")
    expect(form.get_by_label("Whom to greet")).to_have_attribute("aria-invalid", "true")
    expect(form.get_by_label("Whom to greet")).to_be_focused()
    at_tags = form.locator("[data-part=field]", has_text="tags").locator("[data-part=error]")
    expect(at_tags).to_contain_text("12345678901234567890")
    assert town.runner.sandbox.jobs == []
    # Mended, and called with the same token: no second window.
    form.get_by_label("Whom to greet").fill("Ada")
    form.get_by_label("tags").fill('["b"]')
    page.get_by_role("button", name="Call greet").click()
    expect(status(page)).to_contain_text("Done: ran 10 ms")
    given = {"name": "Ada", "times": 2, "loud": True, "mode": None, "tags": ["b"]}
    assert json.loads(town.runner.sandbox.jobs[-1].arguments) == given
    expect(form.get_by_role("group", name="Result")).to_contain_text('"Ada"')
    expect(form.get_by_role("group", name="Result")).to_contain_text(hostile.markup("result")[:40])
    expect(form.get_by_role("group", name="Standard output")).to_have_text(hostile.markup("stdout"))
    with page.expect_download() as saved:
        form.get_by_role("link", name="Download the whole reply").click()
    reply = json.loads(saved.value.path().read_bytes())
    assert isinstance(verify_reply_receipt(reply, town.runner.vkey), Passed)
    with page.expect_download() as saved:
        form.get_by_role("link", name="Download the receipt").click()
    assert json.loads(saved.value.path().read_bytes()) == reply["receipt"]
    record = next(r for r in town.runner.records() if r["request_id"] == reply["request_id"])
    assert record["caller"] == "1-alice-example-com"
    # Neither markup ran, nor was a cookie sent, nor is the token kept anywhere.
    assert errors == []
    assert page.evaluate("window.pwned") is None
    assert not [tag for tag in ("img", "svg[onload]") if page.locator(f"#try {tag}").count()]
    assert all("cookie" not in r.request.all_headers() for r in sent)
    assert all("access-control-allow-credentials" not in r.all_headers() for r in sent)
    assert page.evaluate("localStorage.length + sessionStorage.length") == 0


def test_what_is_missing_is_said_at_its_field(page: Page, town: Town) -> None:
    def opened(method: str) -> Locator:
        page.locator(f"#try [data-method={method}] summary").click()
        return page.get_by_role("form", name=f"Arguments of {method}")

    def said_at(label: str, text: str) -> None:
        field = form.get_by_label(label)
        expect(field).to_have_attribute("aria-invalid", "true")
        expect(field).to_have_accessible_description(re.compile(re.escape(text)))

    before = len(town.runner.sandbox.jobs)
    # Numbers and JSON that are required and not there: nobody is asked.
    form = opened("count")
    form.get_by_label("unit").fill("m")
    page.get_by_role("button", name="Call count").click()
    said_at("start", "This is required.")
    said_at("steps", "This is required.")
    expect(form.get_by_label("start")).to_be_focused()
    expect(form.get_by_label("unit")).not_to_have_attribute("aria-invalid", "true")
    form.get_by_label("start").fill("-1")
    form.get_by_label("steps").fill("[1]")
    page.get_by_role("button", name="Call count").click()
    said_at("start", "0")
    expect(form.get_by_label("steps")).not_to_have_attribute("aria-invalid", "true")
    # What only the runner knows to be missing.
    form.get_by_label("start").fill("1")
    call(page, town, method="count")
    said_at("scale", "'scale' is required where 'unit' is given")
    expect(form.get_by_role("alert").locator("li")).to_have_count(0)
    # One field for all arguments.
    form = opened("either")
    page.get_by_role("button", name="Call either").click()
    said_at("Arguments", "'left' is a required property")
    assert len(town.runner.sandbox.jobs) == before


def test_who_may_not_call_is_told(chromium: Browser, town: Town) -> None:
    who = REVIEWERS[-1]
    before = len(town.runner.sandbox.jobs)
    with chromium.new_context() as context:
        page = signed_in(context.new_page(), town, who)
        page.get_by_label("Whom to greet").fill("Ada")
        call(page, town, who)
        expect(page.locator("#try").get_by_role("alert").last).to_contain_text("Refused")
        # Somebody else in the window: the page does not call as them.
        page.reload()
        page.get_by_label("Whom to greet").fill("Ada")
        call(page, town, ALICE)
        expect(page.locator("#try").get_by_role("alert").last).to_contain_text("Nothing was called")
    assert len(town.runner.sandbox.jobs) == before


def test_a_runner_that_does_not_list_the_page_gets_no_call(page: Page, town: Town) -> None:
    before = len(town.runner.records())
    town.set_policy(browser_origins=["https://other.test"])
    try:
        page.get_by_label("Whom to greet").fill("Ada")
        call(page, town)
        expect(page.locator("#try").get_by_role("alert").last).to_contain_text("does not list")
    finally:
        town.set_policy()
    assert len(town.runner.records()) == before


def test_tokens_for_another_audience_are_refused_by_the_runner(town: Town) -> None:
    body = {"plugin": NAME, "version": "1.0.0", "method": "greet",
            "arguments": {"name": "Ada", "loud": True}}  # fmt: skip
    mint = town.site._authority.tokens.mint
    assert town.calls.post(body, token=mint(ALICE, "sealgate-runner")).status_code == 200
    for audience in ("sigstore", "sealgate-registry", "sealgate-registry-pages"):
        reply = town.calls.post(body, token=mint(ALICE, audience))
        assert reply.status_code == 401
        assert kit.codes(reply.get_json()) == ["caller.token-audience"]


def test_the_form_is_for_published_versions_people_and_runners(page: Page, town: Town) -> None:
    def asked(version: str = "1.0.0") -> tuple[str, str]:
        answer = page.request.get(f"{town.site.url}/plugins/{NAME}/{version}")
        return answer.text(), answer.headers["content-security-policy"]

    text, policy = asked()
    assert 'id="try"' in text
    origins = sorted((town.site.deployment.addresses.runner, town.site.issuer))
    assert f"connect-src 'self' {' '.join(origins)};" in policy
    assert "require-trusted-types-for 'script'" in policy
    assert 'id="try"' not in asked("1.1.0")[0]
    with town.stage.app.app_context():
        services = current()
    settings = services.settings
    object.__setattr__(services, "settings", replace(settings, calling=None))
    try:
        text, policy = asked()
    finally:
        object.__setattr__(services, "settings", settings)
    assert 'id="try"' not in text
    assert "connect-src" not in policy
    page.context.clear_cookies()
    text, policy = asked()
    assert 'id="try"' not in text
    assert "connect-src" not in policy


def test_without_script_there_is_the_command(chromium: Browser, town: Town) -> None:
    with chromium.new_context(java_script_enabled=False) as context:
        page = signed_in(context.new_page(), town, ALICE)
        expect(page.get_by_text("sealgate run try-me==1.0.0 greet")).to_be_visible()
        expect(page.locator("#try form").first).to_be_hidden()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_and_a_phone_find_nothing(chromium: Browser, town: Town, scheme: str) -> None:
    with chromium.new_context(
        bypass_csp=True, color_scheme=cast("Any", scheme), viewport={"width": 360, "height": 740}
    ) as context:
        page = signed_in(context.new_page(), town, ALICE)
        page.get_by_label("Whom to greet").fill("ada")
        call(page, town)
        expect(page.get_by_label("Whom to greet")).to_have_attribute("aria-invalid", "true")
        found = browser.violations(page)
        page.get_by_label("Whom to greet").fill("Ada")
        page.get_by_role("button", name="Call greet").click()
        expect(status(page)).to_contain_text("Done")
        found += browser.violations(page)
        assert page.evaluate("document.documentElement.scrollWidth") <= 360
        assert page.evaluate("window.pwned") is None
    assert found == []
