"""Modules that speak to the network. The runner gives a plugin none; a reviewer asks why."""

from __future__ import annotations

from collections.abc import Iterator

from scanner.model import Rule
from scanner.source import Hit, Source, hit_at

NETWORK = Rule(
    "SG401",
    "NetworkModule",
    "medium",
    "The source imports a module that speaks to the network.",
    "A plugin runs without a network: take the import away, or say what it is for.",
)
RULES = (NETWORK,)

_MODULES = frozenset(
    {
        "socket",
        "_socket",
        "ssl",
        "http.client",
        "http.server",
        "urllib.request",
        "urllib3",
        "requests",
        "httpx",
        "aiohttp",
        "websocket",
        "websockets",
        "ftplib",
        "smtplib",
        "imaplib",
        "poplib",
        "nntplib",
        "telnetlib",
        "xmlrpc.client",
        "xmlrpc.server",
        "socketserver",
        "paramiko",
        "pycurl",
        "dns",
        "scapy",
        "boto3",
    }
)


def check(source: Source) -> Iterator[Hit]:
    """Yield a hit for each such import."""
    for module, statement in source.imports_of(_MODULES):
        yield hit_at(NETWORK, statement, f"import of {module}")
