"""What the sandbox raises. What happens to a call once it runs is data: an `Execution`."""

from __future__ import annotations

from trust.errors import SealgateError, problem


class SandboxUnavailable(SealgateError):
    """The sandbox cannot run anything now: no engine, no image, no such runtime."""


class NoResponse(Exception):
    """A call has no response that can be used."""


class ProtocolViolation(NoResponse):
    """What came out of a container is not what the protocol allows; nothing of it is used."""


class ContainerGone(NoResponse):
    """The container's stream ended before its response."""


class DeadlinePassed(NoResponse):
    """The runner's own clock ran out while it waited for a container."""


def unavailable(
    code: str, what: str, *, value: object = "", advice: str = ""
) -> SandboxUnavailable:
    """Make a `SandboxUnavailable`."""
    return SandboxUnavailable(
        problem(
            f"sandbox.{code}",
            what,
            value=value,
            expected="a Docker engine that answers, with the pinned runtime image",
            advice=advice or "run `sealgate engine up` and `sealgate image build`",
        )
    )
