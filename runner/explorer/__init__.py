"""The audit explorer: read-only pages of the runner itself over its own audit log.

An auditor signs in with a token that the policy lets read the log, searches, opens a record, and
has its inclusion proof checked in the page, by a script that needs nothing but what is shown.
`install(app, runner, audit)` adds it under /audit.
"""

from runner.explorer.pages import install

__all__ = ["install"]
