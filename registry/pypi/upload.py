"""The upload interface of `uv publish` and `twine upload`: one more door to the one intake.

Who submits is whom the attestation proves, here as everywhere. An API token, where the tools send
one, says who is connected and is held to its plugins; other passwords are not looked at.
"""

from __future__ import annotations

from flask import Response, request
from flask.typing import ResponseReturnValue

from registry import evidence, intake
from registry.accounts.authorization import check_token
from registry.errors import BadRequest, Unprocessable
from registry.pypi import attestations, form
from registry.services import current
from trust import strictjson, wheel
from trust.errors import problem
from trust.outcomes import Passed

HOW = "`sealgate attest WHEEL --account YOU` writes it beside the wheel"


def upload() -> ResponseReturnValue:
    """Take a wheel with its author's attestation.

    Status 200 both for what is new and for what is there already with the same bytes.
    """
    services = current()
    sent = form.read(request)
    attested = _attested(sent)
    bundle = b""
    if _reads_well(sent, services.settings.max_upload_bytes):
        form.check(sent)
        bundle = _bundle(attested)
    # Else the intake refuses the wheel, in the words of every door, before it looks at the bundle.
    accepted = intake.submit(services, sent.filename, sent.content, bundle, permit=check_token)
    place = f"{services.settings.base_url}/plugins/{accepted.name}/{accepted.version}"
    news = "was accepted and waits for the scan" if accepted.created else "was there already"
    return Response(
        f"{accepted.name} {accepted.version} {news}: {place}\n", mimetype="text/plain", status=200
    )


def _reads_well(sent: form.Upload, limit: int) -> bool:
    """Tell whether a wheel is there that the intake will read; what it says needs its METADATA."""
    return len(sent.content) <= limit and isinstance(
        wheel.inspect_wheel(sent.content, sent.filename), Passed
    )


def _attested(sent: form.Upload) -> bytes:
    """Return the text of the field `attestations`."""
    if sent.attestations is None:
        raise BadRequest(
            problem(
                "http.field",
                "the upload is not signed: it has no attestation",
                value="no field attestations",
                expected="one PEP 740 attestation by the plugin's author",
                advice=f"{HOW}; then `uv publish` sends it, and `twine upload --attestations`",
                where=form.ATTESTATIONS,
            )
        )
    return sent.attestations.encode()


def _bundle(attested: bytes) -> bytes:
    """Return the one attestation of that text as a Sigstore bundle."""
    evidence.check_size(attested)
    try:
        found = strictjson.loads(attested)
    except strictjson.InvalidJSON as error:
        raise Unprocessable(error.problems) from error
    if not isinstance(found, list) or len(found) != 1:
        raise Unprocessable(
            problem(
                "bundle.format",
                "the field attestations has not exactly one attestation",
                value=f"{len(found)} attestations" if isinstance(found, list) else found,
                expected="a JSON list with the one publish attestation of this wheel",
                advice=f"{HOW}; leave other *.attestation files out",
                where=form.ATTESTATIONS,
            )
        )
    try:
        return attestations.to_bundle(found[0])
    except attestations.AttestationRefused as error:
        raise Unprocessable(error.problems) from error
