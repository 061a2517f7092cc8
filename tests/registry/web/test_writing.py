"""Submitting and reviewing through the forms: what is taken, what is refused, how it is said."""

from __future__ import annotations

import io
from html import unescape
from pathlib import Path

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from registry import queries
from registry.errors import NotFound
from tests.registry.web.stage import Stage
from tests.support.wheels import make_wheel

OWN = {"Sec-Fetch-Site": "same-origin", "Origin": "http://localhost"}


def send(
    client: FlaskClient, address: str, headers: dict[str, str], **files: object
) -> TestResponse:
    data = {k: (io.BytesIO(v[1]), v[0]) for k, v in files.items() if isinstance(v, tuple)}
    return client.post(address, data=data, headers=headers, content_type="multipart/form-data")


def test_a_submission_leads_to_its_version_page(stage: Stage, client: FlaskClient) -> None:
    wheel = make_wheel()
    bundle = ("bundle.sigstore.json", stage.trust.submit(*wheel))
    for _ in range(2):  # the identical submission again changes nothing
        reply = send(client, "/submit", OWN, wheel=wheel, bundle=bundle)
        assert (reply.status_code, reply.location) == (303, "/plugins/example-plugin/1.0.0")
    assert "Received" in client.get(reply.location).text


def test_every_refusal_is_shown_together_with_value_expectation_and_advice(
    client: FlaskClient, stage: Stage
) -> None:
    wheel = make_wheel(
        files={"example_plugin/native.so": b"\x7fELF", "evil.pth": "import os\n"},
        metadata="Metadata-Version: 2.1\nName: other\nVersion: 9\nSummary: x\n",
    )
    bundle = ("b.json", stage.trust.submit(*wheel))
    reply = send(client, "/submit", OWN, wheel=wheel, bundle=bundle)
    api = client.post(
        "/api/v1/submissions",
        data={k: (io.BytesIO(v[1]), v[0]) for k, v in (("wheel", wheel), ("bundle", bundle))},
    )
    problems = api.json["problems"] if api.json else []
    assert reply.status_code == api.status_code == 422
    assert len(problems) >= 4
    text = unescape(reply.text)
    for problem in problems:
        for part in ("code", "what", "value", "expected", "advice", "where"):
            assert problem[part] in text
    assert f"Refused for {len(problems)} reasons" in text
    with pytest.raises(NotFound):
        queries.plugin(stage.services, "example-plugin")


def test_missing_files_are_named(client: FlaskClient) -> None:
    reply = send(client, "/submit", OWN)
    assert reply.status_code == 400
    assert "Refused for 2 reasons" in reply.text


def test_what_is_too_large_gets_a_page(stage: Stage, client: FlaskClient) -> None:
    big = ("big.whl", b"0" * (stage.settings.max_upload_bytes * 2))
    reply = send(client, "/submit", OWN, wheel=big, bundle=big)
    assert reply.status_code == 413
    assert reply.headers["X-Request-ID"] in reply.text


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"},
        {"Sec-Fetch-Site": "same-site", "Origin": "https://sub.localhost"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-origin", "Origin": "https://evil.example"},
        {"Origin": "https://evil.example"},
        {"Origin": "http://localhost:81"},
        {"Origin": "http://localhost.evil.example"},
        {"Origin": "null"},
        {},
    ],
)
@pytest.mark.parametrize("address", ["/submit", "/review/example-plugin/1.0.0"])
def test_a_form_from_elsewhere_is_refused_and_stores_nothing(
    stage: Stage, client: FlaskClient, headers: dict[str, str], address: str
) -> None:
    wheel = make_wheel()
    bundle = ("b.json", stage.trust.submit(*wheel))
    if address != "/submit":
        stage.submit(wheel)
    reply = send(client, address, headers, wheel=wheel, bundle=bundle)
    assert reply.status_code == 403
    assert "web.cross-site" in reply.text
    assert queries.search_plugins(stage.services).total == (address != "/submit")


def test_the_origin_alone_is_enough_for_older_browsers(stage: Stage, client: FlaskClient) -> None:
    wheel = make_wheel()
    bundle = ("b.json", stage.trust.submit(*wheel))
    headers = {"Origin": "http://localhost"}
    assert send(client, "/submit", headers, wheel=wheel, bundle=bundle).status_code == 303


def test_a_refused_review_is_explained_on_the_review_page(tmp_path: Path) -> None:
    stage = Stage(tmp_path)
    client = stage.app.test_client()
    stage.submit(make_wheel())
    stage.work()
    address = "/review/example-plugin/1.0.0"
    own = stage.review_bundle("example-plugin", "1.0.0", stage.trust.author.subject)
    reply = send(client, address, OWN, bundle=("b.json", own))
    assert reply.status_code == 403
    assert "The review was not taken" in reply.text
    assert "registry.own-plugin" in reply.text
    assert send(client, address, OWN, bundle=("b.json", b"{}")).status_code == 422
    good = stage.review_bundle("example-plugin", "1.0.0", stage.trust.reviewers[0])
    reply = send(client, address, OWN, bundle=("b.json", good))
    assert (reply.status_code, reply.location) == (303, "/plugins/example-plugin/1.0.0")
    assert "1 of 2" in client.get(reply.location).text
    stage.services.close()
