"""`sealgate revoke` against real processes, and a runner that follows the real registry's log."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from dataclasses import asdict

import pytest

from runner.main import RunnerSettings, open_service
from sealgate.deployment import Deployment
from sealgate.settings import runner_settings
from sealgate.setup import REVOCATION_POLL_SECONDS
from tests.runner.kit import RecordingSandbox
from tests.support.deployment import initialised, running, sealgate, write
from tests.support.evidence import AUTHOR, OUTSIDER, REVIEWERS

pytestmark = pytest.mark.slow

SECURITY = "security@example.com"
HEAD_SECONDS = 2.0


@pytest.fixture(scope="module")
def deployment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    """A running deployment without a runner, with a published plugin."""
    home = tmp_path_factory.mktemp("deployment")
    made = initialised(home)
    policy = json.loads(made.runner_policy.read_text())
    policy.pop("distribution", None)  # how wheels come is not the subject here
    made.runner_policy.write_text(json.dumps(policy))
    with running(made):
        wheel = write(home)
        assert sealgate(made, "submit", wheel, "--account", AUTHOR, "--wait").returncode == 0
        for reviewer in REVIEWERS[:2]:
            words = ("review", "approve", "example-plugin==1.0.0", "--account", reviewer, "--yes")
            assert sealgate(made, *words).returncode == 0
        assert sealgate(made, "status", "example-plugin==1.0.0", "--wait").returncode == 0
        yield made


def test_a_quarantine_reaches_a_runner_within_head_and_poll_and_is_lifted(
    deployment: Deployment,
) -> None:
    settings = runner_settings(deployment)
    quiet = RunnerSettings(**{**asdict(settings), "copy_to_stdout": False})
    token = deployment.caller_token("demo").read_text().strip()
    with open_service(quiet, sandbox=RecordingSandbox()) as service:

        def status() -> str:
            body = {
                "plugin": "example-plugin",
                "version": "1.0.0",
                "method": "greet",
                "arguments": {"name": "Ada"},
            }
            with service.app.test_client() as client:
                reply = client.post(
                    "/v1/invocations",
                    json=body,
                    headers={"Authorization": f"Bearer {token}"},
                ).get_json()
            problems = (reply["error"] or {}).get("problems", [{}])
            return str(problems[0].get("code", reply["status"]))

        def wait_for(wanted: str) -> float:
            began = time.monotonic()
            while (seen := status()) != wanted:
                assert time.monotonic() - began < 30, seen
                time.sleep(0.05)
            return time.monotonic() - began

        assert status() == "ok"
        target = ("version", "example-plugin==1.0.0", "--reason", "it steals")
        refused = sealgate(deployment, "revoke", *target, "--account", OUTSIDER)
        assert refused.returncode == 1
        assert "revocation.not-authorised" in refused.stderr
        made = sealgate(deployment, "revoke", *target, "--account", SECURITY, "--quarantine")
        assert made.returncode == 0, made.stderr
        # The bound that was configured, and a second for this machine.
        assert wait_for("revocation.version") < HEAD_SECONDS + REVOCATION_POLL_SECONDS + 1
        found = re.search(r"bundle +([0-9a-f]{64})", made.stdout)
        assert found is not None
        listed = sealgate(deployment, "revoke", "list")
        assert listed.returncode == 0, listed.stderr
        assert "quarantine version example-plugin==1.0.0" in listed.stdout
        assert found[1] in listed.stdout
        lifted = sealgate(
            deployment, "revoke", "lift", found[1], "--reason", "a mistake", "--account", SECURITY
        )
        assert lifted.returncode == 0, lifted.stderr
        wait_for("ok")
        assert "lifted" in sealgate(deployment, "revoke", "list").stdout
