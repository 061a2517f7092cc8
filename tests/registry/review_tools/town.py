"""A registry with sign-in, one published version and one in review, for the reviewers' tests."""

from __future__ import annotations

from pathlib import Path

from flask.testing import FlaskClient

from registry.settings import SignIn
from tests.registry.web.stage import Stage
from tests.support.evidence import TrustFixture
from tests.support.wheels import make_wheel

NAME = "example-plugin"
OWN = {"Sec-Fetch-Site": "same-origin"}
PATH = "example_plugin/__init__.py"

SOURCE = '''"""A small plugin for tests."""

import tempfile


def greet(arguments):
    name = arguments["name"]
    return {"greeting": f"Hello, {name}!", "at": tempfile.mktemp()}


def echo(arguments):
    return {"value": arguments}
'''

NEXT = SOURCE.replace('"""', '"""\n', 1).replace("Hello", "Good day")


def made(folder: Path) -> Stage:
    """Return the registry."""
    stage = Stage(folder, sign_in=SignIn(TrustFixture().issuer, "registry", folder / "session.key"))
    stage.publish(make_wheel(NAME, "1.0.0", source=SOURCE))
    stage.submit(make_wheel(NAME, "1.1.0", source=NEXT))
    stage.work()
    return stage


def signed_in(stage: Stage, who: str) -> FlaskClient:
    """Return a client in which `who` is signed in."""
    client = stage.app.test_client()
    cookie = stage.cookie(who)
    client.set_cookie(cookie["name"], cookie["value"])
    return client
