"""The connection to the Docker engine: one client a thread, every request with a timeout."""

from __future__ import annotations

import os
import threading
from typing import Any, TypeAlias

import docker
import requests
from docker.errors import DockerException, NotFound
from docker.utils import kwargs_from_env

from runner.sandbox.errors import unavailable

Client: TypeAlias = Any
"""A `docker.APIClient`; the stubs that there are leave half of its methods untyped."""

ENGINE_SECONDS = 20.0
"""How long the engine may take to answer one request, in seconds."""

ENGINE_ERRORS = (DockerException, requests.RequestException, OSError)
"""Everything that the client raises when the engine is down, hangs or refuses."""


class Engine:
    """A Docker engine, found through DOCKER_HOST or on its usual socket.

    docker-py's client is not safe to share between threads, so each thread has its own; they all
    speak the API version that was agreed on once.
    """

    def __init__(self, base_url: str | None = None, timeout: float = ENGINE_SECONDS) -> None:
        """Connect.

        Args:
            base_url: `unix://PATH` or `tcp://HOST:PORT`; None means DOCKER_HOST or the default.
            timeout: seconds that one request may take.

        Raises:
            SandboxUnavailable: the engine does not answer.
        """
        self._arguments: dict[str, Any] = dict(kwargs_from_env())
        if base_url is not None:
            self._arguments = {"base_url": base_url}
        self._timeout = timeout
        self._local = threading.local()
        self._version = "auto"
        try:
            client = self._connect()
        except ENGINE_ERRORS as error:
            place = self._arguments.get("base_url") or os.environ.get("DOCKER_HOST") or "default"
            raise unavailable(
                "engine", "the Docker engine does not answer", value=f"{place}: {error}"
            ) from error
        self._version = client.api_version
        self._local.client = client

    def _connect(self) -> Client:
        return docker.APIClient(
            version=self._version, timeout=int(max(1, self._timeout)), **self._arguments
        )

    @property
    def client(self) -> Client:
        """This thread's client."""
        client: Client | None = getattr(self._local, "client", None)
        if client is None:
            client = self._local.client = self._connect()
        return client

    def runtimes(self) -> tuple[str, ...]:
        """Return the names of the OCI runtimes that the engine knows.

        Raises:
            SandboxUnavailable: the engine does not answer.
        """
        try:
            return tuple(sorted(self.client.info().get("Runtimes", {})))
        except ENGINE_ERRORS as error:
            raise unavailable("engine", "the Docker engine does not answer", value=error) from error

    def remove(self, container: str) -> bool:
        """Kill and remove a container; return whether it is gone.

        While the engine is removing it already (409), it is not gone yet: ask again.
        """
        try:
            self.client.remove_container(container, force=True, v=True)
        except NotFound:
            return True
        except ENGINE_ERRORS:
            return False
        return True
