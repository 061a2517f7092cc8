"""The demonstration's chapter on revocation."""

from __future__ import annotations

import json
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import requests

if TYPE_CHECKING:
    from sealgate.demo.story import Story

REVOKER = "security@example.com"
CALL_SECONDS = 20.0
"""How long a call may take to begin."""


def revoke(story: Story, wheel: Path) -> None:
    """A version is taken back while a call of it is under way.

    Args:
        story: the one that is told.
        wheel: limit-probe 1.0.1, which may sleep for a minute.
    """
    stage = story.stage
    stage.title("A version is revoked while it runs")
    release = "limit-probe==1.0.1"
    story.publish(wheel, release)
    replies: list[dict[str, object]] = []
    calling = threading.Thread(
        target=lambda: replies.append(story.call(release, "wall", {"seconds": 55}))
    )
    calling.start()
    under_way = _under_way(story)
    revoked = stage.sealgate(
        "revoke", "version", release, "--reason", "it sleeps on the job",
        "--account", REVOKER,
    )  # fmt: skip
    calling.join()
    (reply,) = replies
    stage.expect(
        "a revocation stops the call that is under way",
        "refused",
        str(reply["status"]),
        held=under_way
        and revoked.code == 0
        and reply["status"] == "refused"
        and "revocation.version" in json.dumps(reply.get("error")),
    )
    after = story.call(release, "wall", {"seconds": 1})
    stage.expect(
        "and the next call is refused", "refused", str(after["status"]),
        held=after["status"] == "refused" and "it sleeps" in json.dumps(after.get("error")),
    )  # fmt: skip
    stage.sealgate("revoke", "list")


def _under_way(story: Story) -> bool:
    """Wait until the runner has a call under way."""
    deadline = time.monotonic() + CALL_SECONDS
    while time.monotonic() < deadline:
        text = requests.get(f"{story.deployment.addresses.runner}/metrics", timeout=5).text
        if "sealgate_calls_running 1.0" in text:
            return True
        time.sleep(0.1)
    return False
