"""The four predicate types, the steps that they stand for, and the shape that each must have.

A statement's step follows from its `predicateType` alone, never from a name inside the predicate:
whoever signs chooses the words, the layout chooses who may sign which type.
"""

from __future__ import annotations

import importlib.resources
import json
from collections.abc import Mapping
from typing import Any, Final, Literal, TypeAlias, cast

from jsonschema import Draft202012Validator
from jsonschema.exceptions import best_match

from trust.errors import Problem, problem

Step: TypeAlias = Literal["submit", "scan", "review", "publish"]

STATEMENT_TYPE: Final = "https://in-toto.io/Statement/v1"
SUBMIT: Final = "https://docs.pypi.org/attestations/publish/v1"
SCAN: Final = "https://in-toto.io/attestation/test-result/v0.1"
REVIEW: Final = "https://sealgate.dev/attestation/review/v1"
PUBLISH: Final = "https://slsa.dev/verification_summary/v1"

STEPS: Final[tuple[Step, ...]] = ("submit", "scan", "review", "publish")
PREDICATE_TYPES: Final[Mapping[Step, str]] = {
    "submit": SUBMIT,
    "scan": SCAN,
    "review": REVIEW,
    "publish": PUBLISH,
}

WHEEL: Final = "plugin.whl"
"""The wheel's name in the layout's artifact rules, whatever its file name is."""
REPORT: Final = "report.sarif"
"""The scan report's name in the layout's artifact rules."""
POLICY: Final = "scan-policy.json"
"""The scan policy's name in the layout's artifact rules."""


SBOM: Final = "sbom.cdx.json"
"""The bill of materials' name in the scan statement."""
BILL_OF_MATERIALS: Final = "https://cyclonedx.org/bom"
"""The predicate type of a signed bill of materials; no step of the layout, but evidence."""


def _validator(name: str) -> Draft202012Validator:
    text = importlib.resources.files("trust.evidence").joinpath(f"schemas/{name}.schema.json")
    schema = json.loads(text.read_text(encoding="utf-8"))
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema)


_SCHEMAS: Final[Mapping[Step, str]] = {
    "submit": "publish",
    "scan": "test_result",
    "review": "review",
    "publish": "verification_summary",
}
_VALIDATORS: Final = {step: _validator(name) for step, name in _SCHEMAS.items()}


def step_of(predicate_type: str) -> Step | None:
    """Return the step that a predicate type stands for, or None for a type with no role here."""
    for step, known in PREDICATE_TYPES.items():
        if known == predicate_type:
            return step
    return None


def check_predicate(step: Step, predicate: Any) -> Problem | None:
    """Return what is wrong with the shape of a predicate, or None.

    Args:
        step: the step that the statement's predicate type stands for.
        predicate: the statement's `predicate`, None where it has none.
    """
    error = best_match(_VALIDATORS[step].iter_errors(predicate))
    if error is None:
        return None
    return problem(
        "evidence.predicate",
        f"the predicate of the {step} statement does not have the shape of its type",
        value=error.message,
        expected=f"the JSON Schema {_SCHEMAS[step]}.schema.json",
        advice=f"sign the {step} statement anew with the current tools",
        where="/predicate" + "".join(f"/{part}" for part in error.absolute_path),
    )


def sha256_of(descriptor: Any) -> str:
    """Return the sha256 digest of a resource descriptor that `check_predicate` accepted."""
    return cast(str, descriptor["digest"]["sha256"])
