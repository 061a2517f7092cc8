"""A registry behind a real HTTP server, for the real tools."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import waitress

from tests.registry.pypi.tools import Town
from tests.support.evidence import TrustFixture
from tests.support.registry import RegistryFixture


@contextmanager
def serving(trust: TrustFixture, folder: Path, **changes: Any) -> Iterator[Town]:
    """Serve an empty registry on a free port."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        registry = RegistryFixture.make(trust, folder, base_url=url, **changes)
        server = waitress.create_server(registry.app, sockets=[listening], threads=4)
        thread = threading.Thread(target=server.run, daemon=True)
        thread.start()
        try:
            yield Town(registry, url, folder)
        finally:
            server.trigger.pull_trigger(server.close)
            thread.join(10)
            server.task_dispatcher.shutdown()
            registry.services.close()


@pytest.fixture
def town(trust: TrustFixture, tmp_path: Path) -> Iterator[Town]:
    """An empty registry behind HTTP."""
    with serving(trust, tmp_path) as made:
        yield made


@pytest.fixture(scope="module")
def published(trust: TrustFixture, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    """A registry behind HTTP with two published versions, and one that waits for review."""
    with serving(trust, tmp_path_factory.mktemp("published")) as made:
        for version in ("1.0.0", "1.10.0"):
            made.registry.publish(*made.wheel(version))
        made.registry.submit(*made.wheel("2.0.0"))
        made.registry.worker.run_once()
        yield made
