"""Bandit and the checks that bandit does not make, in a confined process, as one report."""

from scanner.model import Coverage, Finding, Rule, ScanResult
from scanner.policy import DEFAULT, PolicyInvalid, ScanPolicy
from scanner.service import scan

__all__ = [
    "DEFAULT",
    "Coverage",
    "Finding",
    "PolicyInvalid",
    "Rule",
    "ScanPolicy",
    "ScanResult",
    "scan",
]
