"""Results that break the manifest's schema: real plugins in containers and cells, over HTTP."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
import requests

from runner.receipts import verify_reply_receipt
from tests.runner.kit import MEMBERS, NAME, Site, codes
from tests.support.servers import application
from tests.support.wheels import make_manifest
from trust.outcomes import Passed

pytestmark = pytest.mark.docker

SECRET = "wh4t-th3-pl4g1n-g4v3-b4ck"
BROKEN = {
    "other_type": ("'%s'", "type", "/"),
    "member_of_other_type": ("{'greeting': ['%s']}", "type", "/greeting"),
    "truth_for_a_number": ("{'greeting': '%s', 'count': True}", "type", "/count"),
    "nothing": ("None", "type", "/"),
    "without_a_member": ("{'count': 1}", "required", "/greeting"),
    "one_member_more": ("{'greeting': 'x', '%s': 1}", "additionalProperties", "/"),
    "many_members": (
        "{'greeting': 'x', **{f'%s{n}': n for n in range(20_000)}}",
        "additionalProperties",
        "/",
    ),
    "a_list_too_long": ("{'greeting': 'x', 'list': ['%s'] * 20_000}", "maxItems", "/list"),
    "each_item_wrong": ("{'greeting': 'x', 'map': {str(n): '%s' for n in range(20_000)}}",
                        "type", "/map/0"),
}  # fmt: skip
"""By method: what it returns, the first rule of RESULT that it breaks, and where."""
RESULT = {
    "type": "object",
    "properties": {
        "greeting": {"type": "string"},
        "count": {"type": "integer"},
        "list": {"type": "array", "maxItems": 3},
        "map": {"type": "object", "additionalProperties": {"type": "integer"}},
    },
    "required": ["greeting"],
    "additionalProperties": False,
}
SOURCE = "def honest(arguments):\n    return {'greeting': 'Hello'}\n" + "".join(
    f"\n\ndef {name}(arguments):\n    return {text.replace('%s', SECRET)}\n"
    for name, (text, *_) in BROKEN.items()
)
MANIFEST = make_manifest(
    methods={
        name: {
            "callable": f"example_plugin:{name}",
            "summary": "Return something.",
            "arguments": {"type": "object"},
            "result": RESULT,
        }
        for name in ("honest", *BROKEN)
    }
)


class Called:
    """A runner on a real socket, whose calls go to one driver and one level."""

    def __init__(self, site: Site, address: str, level: str) -> None:
        self.site = site
        self.level = level
        self._address = address

    def __call__(self, method: str) -> tuple[dict[str, Any], str]:
        """Return the reply to a call, and its text."""
        answer = requests.post(
            f"{self._address}/v1/invocations",
            json={"plugin": NAME, "version": "1.0.0", "method": method, "arguments": {}},
            headers={"Authorization": f"Bearer {self.site.token.token}"},
            timeout=30,
        )
        assert answer.status_code == 200, answer.text
        return answer.json(), answer.text


@pytest.fixture(params=["engine container", "oci container", "engine cell", "oci cell"])
def called(request: pytest.FixtureRequest, site: Site, image_id: str) -> Iterator[Called]:
    driver, level = request.param.split()
    site.release(source=SOURCE, manifest=MANIFEST)
    site.policy["image"] = image_id
    pool = {"floor": 1, "ceiling": 2} if level == "container" else {"floor": 0, "ceiling": 0}
    site.policy["sandbox"] = {"runtime": "runc", "driver": driver, "pool": pool}
    if level == "cell":
        site.policy["plugins"][0]["cell_versions"] = "*"
    with site.runner(sandbox=None) as calls, application(calls.service.app) as address:
        yield Called(site, address, level)


def test_no_result_that_breaks_its_schema_gets_out(called: Called) -> None:
    for method, (_, rule, where) in BROKEN.items():
        reply, text = called(method)
        assert set(reply) == MEMBERS
        assert (reply["status"], reply["result"]) == ("plugin_error", None), method
        assert set(codes(reply)) == {"result.schema"}
        assert reply["error"]["type"] == "result_schema"
        first = reply["error"]["problems"][0]
        assert (first["expected"].partition(":")[0], first["where"]) == (rule, where), method
        assert len(text) < 20_000, "a reply that grows with the result that it does not have"
        assert reply["sandbox"]["level"] == called.level
        assert isinstance(verify_reply_receipt(reply, called.site.vkey), Passed)

        decision, outcome = called.site.records()[-2:]
        assert decision["request_id"] == outcome["request_id"] == reply["request_id"]
        assert (outcome["status"], outcome["result_sha256"]) == ("plugin_error", None)
        assert [p["code"] for p in outcome["problems"]] == codes(reply)
        assert SECRET not in json.dumps(outcome)

    reply, _ = called("honest")
    assert (reply["status"], reply["result"]) == ("ok", {"greeting": "Hello"})
    assert called.site.records()[-1]["result_sha256"] is not None
