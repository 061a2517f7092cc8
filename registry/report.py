"""Reading a scan report (SARIF 2.1.0, as the scanner writes it) into findings and coverage.

Used on reports whose digest was compared with a signed one: by the registry on its own blobs, by
the command line on what it downloaded.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any
from urllib.parse import unquote

from registry.errors import Damaged
from registry.readmodel import CoverageView, FindingView
from trust import strictjson
from trust.errors import SealgateError, problem

FINGERPRINT = "sealgate/v1"
"""Key of the fingerprint that acknowledgements name, as the scanner writes it."""
MAX_REPORT = 64 * 1024 * 1024
MAX_KEPT = 4 * 1024 * 1024
"""Bytes of a report that is kept."""
_ORDER = ("high", "medium", "low")


def read_report(data: bytes) -> tuple[tuple[FindingView, ...], CoverageView]:
    """Return the findings, worst first, and what the scan looked at.

    Reports that were read last are kept: a page may ask for the same one again and again.

    Raises:
        Damaged: this is not a report of the scanner.
    """
    return _kept(data) if len(data) <= MAX_KEPT else _read(data)


def _read(data: bytes) -> tuple[tuple[FindingView, ...], CoverageView]:
    try:
        run = strictjson.loads(data, max_bytes=MAX_REPORT)["runs"][0]
        findings = [_finding(result) for result in run["results"]]
        coverage = run["properties"]["sealgate"]["coverage"]
        view = CoverageView(
            scanned=tuple(entry["path"] for entry in coverage if entry["scanned"]),
            not_scanned={e["path"]: e["note"] for e in coverage if not e["scanned"]},
        )
    except (SealgateError, KeyError, IndexError, TypeError, ValueError) as error:
        raise Damaged(
            problem(
                "registry.report-unreadable",
                "the scan report cannot be read",
                value=f"{type(error).__name__}: {error}",
                expected="a SARIF 2.1.0 document of Sealgate's scanner",
                advice="have the version scanned again",
            )
        ) from error
    findings.sort(key=lambda f: (_ORDER.index(f.severity), f.path, f.line, f.rule))
    return tuple(findings), view


_kept = lru_cache(maxsize=8)(_read)


def _finding(result: dict[str, Any]) -> FindingView:
    place = result["locations"][0]["physicalLocation"]
    region = place.get("region", {})
    properties = result["properties"]
    if properties["severity"] not in _ORDER:
        raise ValueError(properties["severity"])
    return FindingView(
        rule=result["ruleId"],
        severity=properties["severity"],
        path=unquote(place["artifactLocation"]["uri"]),
        line=region.get("startLine", 0),
        message=result["message"]["text"],
        help=properties.get("help", ""),
        source_line=region.get("snippet", {}).get("text", ""),
        fingerprint=result["partialFingerprints"][FINGERPRINT],
    )
