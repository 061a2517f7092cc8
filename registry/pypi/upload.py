"""The upload interface of `uv publish` and `twine upload`: one more door to the one intake.

User name and password that the tools send are not looked at: who submits is whom the attestation
proves, here as everywhere.
"""

from __future__ import annotations

from flask import Response, request
from flask.typing import ResponseReturnValue

from registry import evidence, intake
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
    bundle = _bundle(sent)
    if len(sent.content) <= services.settings.max_upload_bytes:
        # What the wheel itself is refused for comes first, and it is the intake that says it.
        outcome = wheel.inspect_wheel(sent.content, sent.filename)
        if isinstance(outcome, Passed):
            form.check(sent)
    accepted = intake.submit(services, sent.filename, sent.content, bundle)
    place = f"{services.settings.base_url}/plugins/{accepted.name}/{accepted.version}"
    news = "was accepted and waits for the scan" if accepted.created else "was there already"
    return Response(
        f"{accepted.name} {accepted.version} {news}: {place}\n", mimetype="text/plain", status=200
    )


def _bundle(sent: form.Upload) -> bytes:
    """Return the one attestation of the form as a Sigstore bundle."""
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
    evidence.check_size(sent.attestations.encode())
    try:
        found = strictjson.loads(sent.attestations.encode())
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
