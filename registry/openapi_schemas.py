"""The objects of the JSON API as JSON Schema 2020-12, for the OpenAPI document."""

from __future__ import annotations

from typing import Any

from registry.states import Event, State

Schema = dict[str, Any]

TEXT: Schema = {"type": "string"}
COUNT: Schema = {"type": "integer", "minimum": 0}
DIGEST: Schema = {"type": "string", "pattern": "^[0-9a-f]{64}$"}
TIME: Schema = {"type": "string", "format": "date-time"}
ADDRESS: Schema = {"type": "string", "format": "uri"}


def ref(name: str) -> Schema:
    """Return a reference to a component schema."""
    return {"$ref": f"#/components/schemas/{name}"}


def optional(schema: Schema) -> Schema:
    """Return `schema` or null."""
    if "$ref" in schema:
        return {"oneOf": [schema, {"type": "null"}]}
    return {**schema, "type": [schema["type"], "null"]}


def array(items: Schema) -> Schema:
    """Return an array of `items`."""
    return {"type": "array", "items": items}


def closed(description: str, **properties: Schema) -> Schema:
    """Return an object that has exactly these properties."""
    return {
        "type": "object",
        "description": description,
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def one_of(*values: str) -> Schema:
    """Return a string that is one of `values`."""
    return {"type": "string", "enum": list(values)}


def _page(items: str) -> Schema:
    return closed(
        "One page of a list.",
        items=array(ref(items)),
        page={"type": "integer", "minimum": 1},
        per_page={"type": "integer", "minimum": 1, "maximum": 100},
        pages={"type": "integer", "minimum": 1},
        total=COUNT,
        links=closed("Neighbouring pages.", next=optional(ADDRESS), previous=optional(ADDRESS)),
    )


STATE = one_of(*State)
COUNTS = closed("Findings by severity.", high=COUNT, medium=COUNT, low=COUNT)
LINE = {
    "state": STATE,
    "waits_for": {
        **TEXT,
        "description": "What happens next, in words, such as `scan` or `1 of 2 approvals`.",
    },
}

SCHEMAS: dict[str, Schema] = {
    "Problem": closed(
        "Why something was refused.",
        code={**TEXT, "description": "A stable slug such as `wheel.duplicate-member`."},
        what={**TEXT, "description": "What was refused."},
        value={**TEXT, "description": "The offending value, made printable and bounded."},
        expected={**TEXT, "description": "What would have been accepted."},
        advice={**TEXT, "description": "What to do next."},
        where={**TEXT, "description": "A place in the input, or empty."},
    ),
    "Error": closed(
        "A problem document (RFC 9457) with every problem together.",
        type=TEXT,
        title=TEXT,
        status={"type": "integer", "minimum": 400, "maximum": 599},
        problems=array(ref("Problem")),
        request_id={**TEXT, "description": "Also in the X-Request-ID header and in the log."},
    ),
    "Identity": closed("A verified Sigstore identity.", issuer=TEXT, subject=TEXT),
    "Event": closed(
        "One row of a version's history.",
        at=TIME,
        event=one_of(*Event),
        actor=optional(ref("Identity")),
        detail=TEXT,
        problems=array(ref("Problem")),
    ),
    "Scan": closed(
        "The scan of a version; only the verdict `passed` goes on to review.",
        verdict=one_of("passed", "failed", "incomplete"),
        result=one_of("PASSED", "WARNED", "FAILED"),
        counts=COUNTS,
        report_sha256=DIGEST,
        policy_sha256=DIGEST,
        finished_at=TIME,
        problems=array(ref("Problem")),
    ),
    "Review": closed(
        "One reviewer's signed decision.",
        reviewer=ref("Identity"),
        decision=one_of("approve", "reject"),
        comment=TEXT,
        at=TIME,
        evidence_sha256=DIGEST,
    ),
    "Method": closed(
        "A method that the manifest declares.",
        name=TEXT,
        callable=TEXT,
        summary=TEXT,
        arguments={"type": "object", "description": "JSON Schema of the arguments."},
        result={"type": "object", "description": "JSON Schema of the result."},
    ),
    "Limits": closed(
        "The limits that the manifest declares.",
        wall_seconds={"type": "number", "exclusiveMinimum": 0},
        cpu_seconds=COUNT,
        memory_bytes=COUNT,
        processes=COUNT,
        output_bytes=COUNT,
    ),
    "Version": closed(
        "Everything about one version.",
        name=TEXT,
        version=TEXT,
        filename=TEXT,
        sha256=DIGEST,
        size=COUNT,
        summary=TEXT,
        package=TEXT,
        **LINE,
        approvals=COUNT,
        approvals_needed={**COUNT, "description": "0 while the registry's layout is not valid."},
        author=ref("Identity"),
        submitted_at=TIME,
        published_at=optional(TIME),
        methods=array(ref("Method")),
        limits=ref("Limits"),
        permissions=array(TEXT),
        scan=optional(ref("Scan")),
        reviews=array(ref("Review")),
        timeline=array(ref("Event")),
        problems={**array(ref("Problem")), "description": "Why the version is held."},
        links=closed(
            "Where to go from here.",
            self=ADDRESS,
            page=ADDRESS,
            wheel=ADDRESS,
            report=optional(ADDRESS),
            evidence=ADDRESS,
            review_materials=optional(ADDRESS),
        ),
    ),
    "VersionLine": closed(
        "One version in a list.",
        version=TEXT,
        sha256=DIGEST,
        **LINE,
        submitted_at=TIME,
        published_at=optional(TIME),
        url=ADDRESS,
    ),
    "Plugin": closed(
        "A plugin name, who owns it, and its versions, highest first.",
        name=TEXT,
        summary=TEXT,
        owner=ref("Identity"),
        latest=optional(TEXT),
        versions=array(ref("VersionLine")),
        links=closed("Where to go from here.", self=ADDRESS, page=ADDRESS),
    ),
    "PluginPage": _page("Plugin"),
    "QueueItem": closed(
        "A version that waits for reviewers.",
        name=TEXT,
        version=TEXT,
        summary=TEXT,
        sha256=DIGEST,
        author=ref("Identity"),
        submitted_at=TIME,
        in_review_since=TIME,
        waits_for=TEXT,
        approvals=COUNT,
        approvals_needed=COUNT,
        counts=COUNTS,
        previous_version=optional(TEXT),
        url=ADDRESS,
    ),
    "QueuePage": _page("QueueItem"),
    "Evidence": closed(
        "One stored Sigstore bundle.",
        sha256=DIGEST,
        step=one_of("submit", "scan", "sbom", "review", "publish"),
        predicate_type=ADDRESS,
        signer=ref("Identity"),
        signed_at=optional(TIME),
        filename=TEXT,
        url=ADDRESS,
    ),
    "DependencyList": closed(
        "Every wheel that a version's pylock.toml names.", dependencies=array(ref("Dependency"))
    ),
    "Dependency": closed(
        "One locked wheel.",
        name=TEXT,
        version=TEXT,
        filename=TEXT,
        sha256=DIGEST,
        at_hand={"type": "boolean", "description": "Whether the registry has the bytes."},
    ),
    "EvidenceList": closed("Every stored bundle.", evidence=array(ref("Evidence"))),
    "Materials": closed(
        "What a signed review must name.",
        filename=TEXT,
        sha256=DIGEST,
        report_sha256=DIGEST,
        previous_sha256=optional(DIGEST),
        policy_sha256=DIGEST,
        acknowledge={
            **array(ref("ToAcknowledge")),
            "description": "The findings that every approval must acknowledge.",
        },
    ),
    "ToAcknowledge": closed(
        "A finding that every approval must acknowledge, with a reason.",
        fingerprint=DIGEST,
        rule=TEXT,
        path=TEXT,
        line=COUNT,
        message=TEXT,
        earlier=optional(ref("Reason")),
    ),
    "Reason": closed(
        "What a reviewer said to the same finding in an earlier, published version.",
        version=TEXT,
        reviewer=ref("Identity"),
        reason=TEXT,
        at=TIME,
        evidence_sha256=DIGEST,
    ),
    "Revocation": closed(
        "What a signed bundle takes back, or lifts.",
        action=one_of("revoke", "quarantine", "lift"),
        target={"type": "object"},
        reason=TEXT,
        effective=TIME,
        signer=ref("Identity"),
        signed_at=TIME,
        bundle_sha256=DIGEST,
        lifts=optional(DIGEST),
    ),
    "RevocationPage": closed(
        "A part of the revocation log; bytes in base64.",
        since=COUNT,
        head=TEXT,
        entries=array(TEXT),
        consistency=array(TEXT),
    ),
    "Account": closed(
        "Who asks, and what they may.",
        issuer=TEXT,
        subject=TEXT,
        roles=array(one_of("reviewer", "admin")),
        token=optional(
            closed(
                "The API token that was presented.",
                name=TEXT,
                scopes=array(TEXT),
                plugins=array(TEXT),
            )
        ),
    ),
    "Audience": closed("For whom identity tokens must be.", audience=TEXT),
    "Minted": closed(
        "A token that uploads.", success={"const": True}, token=TEXT, plugins=array(TEXT)
    ),
    "MintRefused": closed(
        "Why an identity token is refused, in PyPI's words and in ours.",
        message=TEXT,
        errors=array({"type": "object", "required": ["code", "description"]}),
        problems=array(ref("Problem")),
    ),
    "Health": closed("The process answers.", status={"const": "ok"}),
    "Ready": closed(
        "Everything that the registry needs can be used.",
        status={"const": "ready"},
        checks={"type": "object", "additionalProperties": {"const": "ok"}},
    ),
}
"""Name -> schema. Objects are closed: a reply with a member that is not here is a defect."""
