"""Fixtures of everything that runs plugins: the runtime image, and sandboxes on the real engine."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from runner.sandbox import Sandbox
from runner.sandbox.engine import Engine
from runner.sandbox.image import ensure
from sealgate.deployment import Addresses, Deployment
from tests.runner.kit import Calls, Site, TestRegistry
from tests.runner.underway import Gate, Held
from tests.support.engines import OwnEngine, own_engine
from tests.support.evidence import TrustFixture
from tests.support.servers import application


@pytest.fixture(scope="session")
def image_id() -> str:
    """The id of the runtime image with this tree's harness; built if the engine has none."""
    return ensure(Engine().client, print)


@pytest.fixture(scope="session")
def sandbox(image_id: str) -> Iterator[Sandbox]:
    """A sandbox under runc, shared by all tests; it keeps no state between calls."""
    with Sandbox.connect(image_id) as shared:
        yield shared


@pytest.fixture(scope="session")
def trust_fixture() -> TrustFixture:
    """Layout, owners, gate and an in-memory Sigstore, shared: nothing changes them."""
    return TrustFixture()


@pytest.fixture
def registry() -> Iterator[TestRegistry]:
    """A registry on a real socket."""
    server = TestRegistry()
    yield server
    server.close()


@pytest.fixture
def site(tmp_path: Path, trust_fixture: TrustFixture, registry: TestRegistry) -> Site:
    """A runner's surroundings with `example-plugin` 1.0.0 published."""
    made = Site(tmp_path, trust_fixture, registry)
    made.release()
    return made


@pytest.fixture(scope="module")
def engine(image_id: str) -> Iterator[OwnEngine]:
    """A Docker engine of the module's own, with the runtime image."""
    with own_engine() as own:
        own.load(image_id)
        yield own


@pytest.fixture
def engine_site(
    tmp_path: Path,
    trust_fixture: TrustFixture,
    registry: TestRegistry,
    image_id: str,
    engine: OwnEngine,
    monkeypatch: pytest.MonkeyPatch,
) -> Site:
    """A runner's surroundings in which DOCKER_HOST names that engine; nothing is published."""
    monkeypatch.setenv("DOCKER_HOST", engine.url)
    return Site(tmp_path, trust_fixture, registry, image_id)


@pytest.fixture
def calls(site: Site) -> Iterator[Calls]:
    """A runner that executes nothing, asked without a socket."""
    with site.runner() as opened:
        yield opened


@pytest.fixture
def url(site: Site) -> Iterator[str]:
    """The same on a real socket: its address."""
    with site.runner() as calls, application(calls.service.app) as address:
        yield address


@pytest.fixture
def home(site: Site, url: str) -> Path:
    """The folder of a deployment whose runner that is."""
    made = Deployment(site.folder, Addresses(runner=url))
    made.save()
    made.caller_token("demo").parent.mkdir(parents=True)
    made.caller_token("demo").write_text(site.token.token + "\n")
    return site.folder


@pytest.fixture
def gate(site: Site) -> Iterator[Gate]:
    """Holds executions until it is opened."""
    made = Gate()
    site.sandbox.behave = made.behave
    yield made
    made.opened.set()


@pytest.fixture
def held(site: Site) -> Held:
    """Holds executions until their control ends them."""
    made = Held()
    site.sandbox.behave = made.behave
    return made
