"""Reading the runner's policy file: strict JSON, valid against `policy.schema.json`.

A refusal lists every error, each with the JSON pointer (RFC 6901) of its place.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from packaging.specifiers import InvalidSpecifier

from runner.jwt_callers import Issuer, read_keys
from runner.policy import (
    Caller,
    Distribution,
    Grant,
    PluginRule,
    Policy,
    PoolBounds,
    Revocation,
    Versions,
)
from runner.revocations import rules
from runner.schemas import CompiledSchema
from trust import strictjson
from trust.errors import Problem, SealgateError, problem
from trust.identity import Identity

MAX_POLICY_BYTES = 16 << 20
SCHEMA_PATH = Path(__file__).with_name("policy.schema.json")


class PolicyInvalid(SealgateError):
    """The policy file is not one that a runner may obey; `problems` has every reason."""


@cache
def _schema() -> CompiledSchema:
    return CompiledSchema(strictjson.loads(SCHEMA_PATH.read_bytes()))


def parse_policy(data: bytes) -> Policy:
    """Read a policy.

    Args:
        data: the file's bytes.

    Raises:
        PolicyInvalid: with every problem that was found; `where` is a JSON pointer (RFC 6901).
    """
    try:
        document = strictjson.loads(data, max_bytes=MAX_POLICY_BYTES)
    except strictjson.InvalidJSON as error:
        raise PolicyInvalid(error.problems) from error
    problems = _schema().check(document, code="policy.schema", subject="the policy")
    if problems:
        raise PolicyInvalid(problems)
    found = tuple(_contradictions(document))
    if found:
        raise PolicyInvalid(found)
    return _build(document, hashlib.sha256(data).hexdigest())


def load_policy(path: Path) -> Policy:
    """Read the policy file at `path`.

    Raises:
        PolicyInvalid: it cannot be read or is not valid.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise PolicyInvalid(
            problem(
                "policy.unreadable",
                "the runner's policy cannot be read",
                value=f"{path}: {error.strerror}",
                expected="a readable policy file",
                advice="run `sealgate init`, or correct the path",
            )
        ) from error
    return parse_policy(data)


def _contradictions(document: Mapping[str, Any]) -> Iterator[Problem]:
    """Find what the schema cannot say; the places are JSON pointers."""
    seen: dict[tuple[str, str], str] = {}
    runtime, driver = document["sandbox"]["runtime"], document["sandbox"].get("driver", "engine")
    if driver == "oci" and runtime != "runc":
        yield problem(
            "policy.driver",
            "the driver `oci` does not run containers under this runtime",
            value=runtime,
            expected="runc",
            advice="use the runtime runc, or the driver `engine`",
            where="/sandbox/runtime",
        )
    pool = document["sandbox"].get("pool")
    if pool is not None and pool["ceiling"] and pool["floor"] > pool["ceiling"]:
        yield problem(
            "policy.pool",
            "the pool's floor is above its ceiling",
            value=f"{pool['floor']} > {pool['ceiling']}",
            expected="floor <= ceiling",
            advice="raise the ceiling or lower the floor",
            where="/sandbox/pool",
        )

    follows = document.get("distribution")
    if follows is not None and follows["max_age_seconds"] < 2 * follows["refresh_seconds"]:
        yield problem(
            "policy.distribution",
            "the distribution's metadata would be too old before it is refreshed twice",
            value=f"{follows['max_age_seconds']} < 2 * {follows['refresh_seconds']}",
            expected="max_age_seconds >= 2 * refresh_seconds",
            advice="raise max_age_seconds or lower refresh_seconds",
            where="/distribution/max_age_seconds",
        )

    def once(kind: str, value: str, where: str) -> Iterator[Problem]:
        if (kind, value) in seen:
            yield problem(
                "policy.duplicate",
                f"the policy has the same {kind} twice",
                value=value,
                expected=f"each {kind} once (first at {seen[kind, value]})",
                advice="remove one of the two",
                where=where,
            )
        seen.setdefault((kind, value), where)

    def specifiers(text: str, where: str) -> Iterator[Problem]:
        try:
            Versions.parse(text)
        except InvalidSpecifier:
            yield problem(
                "policy.versions",
                "the policy's version specifiers cannot be read",
                value=text,
                expected='PEP 440 specifiers such as ">=1.2,<2", or "*"',
                advice="correct the specifiers",
                where=where,
            )

    for i, issuer in enumerate(document.get("issuers", ())):
        yield from once("issuer", issuer["issuer"], f"/issuers/{i}/issuer")
        yield from read_keys(issuer["jwks"], f"/issuers/{i}/jwks")[1]
    for i, rule in enumerate(document["plugins"]):
        yield from once("plugin", rule["name"], f"/plugins/{i}/name")
        yield from specifiers(rule["versions"], f"/plugins/{i}/versions")
        yield from specifiers(rule.get("cell_versions", "*"), f"/plugins/{i}/cell_versions")
    for i, caller in enumerate(document["callers"]):
        yield from once("caller", caller["name"], f"/callers/{i}/name")
        if "identity" in caller:
            named = Identity(**caller["identity"])
            yield from once("identity", str(named), f"/callers/{i}/identity")
            if ("issuer", named.issuer) not in seen:
                yield problem(
                    "policy.unknown-issuer",
                    "a caller is known by an issuer that the policy does not list",
                    value=named.issuer,
                    expected="an issuer under /issuers",
                    advice="add the issuer with its keys, or remove the caller",
                    where=f"/callers/{i}/identity/issuer",
                )
        else:
            yield from once("token", caller["token_sha256"], f"/callers/{i}/token_sha256")
        if caller.get("token_sha256") == hashlib.sha256(b"").hexdigest():
            yield problem(
                "policy.empty-token",
                "the caller's token is the empty string",
                value=caller["name"],
                expected="the digest of a random token of 256 bits",
                advice="make a new token for this caller",
                where=f"/callers/{i}/token_sha256",
            )
        if "expires" in caller:
            yield from rules.one_moment(
                caller["expires"],
                "policy.expires",
                "the caller's expiry is not a time",
                f"/callers/{i}/expires",
            )
        for j, grant in enumerate(caller["allow"]):
            where = f"/callers/{i}/allow/{j}"
            yield from specifiers(grant["versions"], f"{where}/versions")
            if ("plugin", grant["plugin"]) not in seen:
                yield problem(
                    "policy.unknown-plugin",
                    "a caller is allowed a plugin that the policy does not list",
                    value=grant["plugin"],
                    expected="a name under /plugins",
                    advice="add the plugin with its publishers, or remove the grant",
                    where=f"{where}/plugin",
                )
    yield from rules.contradictions(document)
    for i, revocation in enumerate(document["revoked"]):
        if "version" in revocation:
            yield from rules.one_version(
                revocation["version"],
                "the revoked version is not a version",
                "correct it; revoke several versions one by one",
                f"/revoked/{i}/version",
            )


def _build(document: Mapping[str, Any], digest: str) -> Policy:
    return Policy(
        digest=digest,
        image=document["image"],
        runtime=document["sandbox"]["runtime"],
        driver=document["sandbox"].get("driver", "engine"),
        fallback=document["sandbox"].get("fallback"),
        level=document["sandbox"].get("level", "container"),
        registry=document["registry"].rstrip("/"),
        admission_max_age_seconds=document["admission_max_age_seconds"],
        callers=tuple(
            Caller(
                name=caller["name"],
                token_sha256=caller.get("token_sha256"),
                grants=tuple(
                    Grant(g["plugin"], Versions.parse(g["versions"]), frozenset(g["methods"]))
                    for g in caller["allow"]
                ),
                identity=Identity(**caller["identity"]) if "identity" in caller else None,
                expires=rules.moment(caller["expires"]) if "expires" in caller else None,
                may_read_audit=caller.get("audit", False),
                calls_per_minute=caller.get("calls_per_minute"),
                calls_at_once=caller.get("calls_at_once"),
            )
            for caller in document["callers"]
        ),
        plugins={
            rule["name"]: PluginRule(
                rule["name"],
                tuple(Identity(**identity) for identity in rule["publishers"]),
                Versions.parse(rule["versions"]),
                Versions.parse(rule["cell_versions"]) if "cell_versions" in rule else None,
            )
            for rule in document["plugins"]
        },
        revoked=tuple(
            Revocation(
                reason=item["reason"],
                sha256=item.get("sha256"),
                plugin=item.get("plugin"),
                version=item.get("version"),
                publisher=Identity(**item["publisher"]) if "publisher" in item else None,
            )
            for item in document["revoked"]
        ),
        record_arguments=document["audit"]["record_arguments"],
        pool=PoolBounds(**document["sandbox"]["pool"])
        if "pool" in document["sandbox"]
        else PoolBounds(),
        issuers={
            issuer["issuer"]: Issuer(
                issuer["issuer"], issuer["audience"], read_keys(issuer["jwks"], "")[0]
            )
            for issuer in document.get("issuers", ())
        },
        distribution=_distribution(document),
        revocation=rules.revocation_rule(document),
        cool_down=rules.cool_down(document),
        browser_origins=frozenset(document.get("browser_origins", ())),
    )


def _distribution(document: Mapping[str, Any]) -> Distribution | None:
    found = document.get("distribution")
    if found is None:
        return None
    return Distribution(
        url=found.get("url", document["registry"].rstrip("/") + "/tuf").rstrip("/"),
        refresh_seconds=found["refresh_seconds"],
        max_age_seconds=found["max_age_seconds"],
        follow_trust=found.get("follow_trust", True),
    )
