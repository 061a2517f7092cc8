"""Bandit, run in this process on sources in memory, with nothing of the author's obeyed.

Bandit's command line looks for a `.bandit` file beside the sources, honours `# nosec`, leaves out
folders such as `.tox` and `.eggs`, and reports a file that it could not read as a footnote. Here
its engine gets each source by itself: no file is discovered, so none can be hidden; `# nosec` is
ignored; and every error, those that bandit only logs included, is handed back.

Bandit's plugins are those of its own distribution: another package that registers some, or the
cache of entry points in somebody's home directory, would make two machines disagree.
"""

from __future__ import annotations

import importlib.metadata
import io
import logging
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from scanner.model import Confidence, Severity
from trust.errors import SealgateError, problem

_PLUGINS = "bandit.plugins"
_BLACKLISTS = "bandit.blacklists"
_FORMATTERS = "bandit.formatters"
_LEVELS: dict[str, Severity] = {"HIGH": "high", "MEDIUM": "medium", "LOW": "low"}


class BanditUnusable(SealgateError):
    """Bandit is missing, has another version, or lacks some of its own plugins."""


@dataclass(frozen=True, slots=True)
class Issue:
    """One of bandit's issues: rule, names, lines from 1, and what bandit says of it."""

    rule: str
    name: str
    page: str
    severity: Severity
    confidence: Confidence
    line: int
    end_line: int
    message: str


class _Collector(logging.Handler):
    """Keeps the errors that bandit logs instead of raising."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.errors: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.errors.append(record.getMessage().splitlines()[0])


class Bandit:
    """Bandit's engine with every test of its own distribution."""

    def __init__(self, version: str) -> None:
        """Load bandit.

        Args:
            version: the version that the policy names.

        Raises:
            BanditUnusable: that bandit cannot be used whole.
        """
        try:
            distribution = importlib.metadata.distribution("bandit")
            installed = distribution.version
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", DeprecationWarning)  # bandit's use of stevedore
                self._manager = _load(distribution)
        except Exception as error:
            raise _unusable(
                f"{type(error).__name__}: {error}", "bandit as it was locked"
            ) from error
        if installed != version:
            raise _unusable(installed, f"bandit {version}, as the scan policy says")
        self._collector = _Collector()
        logger = logging.getLogger("bandit")
        logger.handlers = [self._collector]
        logger.propagate = False

    def run(self, path: str, data: bytes) -> tuple[list[Issue], str]:
        """Run every test on one source.

        Returns:
            The issues, and why bandit did not finish the file; "" where it did.
        """
        manager = self._manager
        manager.results, manager.skipped, manager.scores = [], [], []
        self._collector.errors.clear()
        name = f"./{path}"
        manager.files_list = [name]
        manager._parse_file(name, io.BytesIO(data), list(manager.files_list))
        reasons = [str(reason) for _, reason in manager.skipped] + self._collector.errors
        return list(_issues(manager.results)), reasons[0] if reasons else ""


def _load(distribution: importlib.metadata.Distribution) -> Any:
    from stevedore.extension import ExtensionManager

    entries = distribution.entry_points
    for group in (_PLUGINS, _BLACKLISTS):
        found = list(entries.select(group=group))
        if not found:
            raise LookupError(f"bandit's distribution names no {group}")
        ExtensionManager.ENTRY_POINT_CACHE[group] = found
    ExtensionManager.ENTRY_POINT_CACHE[_FORMATTERS] = []

    from bandit.core import config, extension_loader, manager, tester

    for group, loaded in (
        (_PLUGINS, extension_loader.MANAGER.plugins_mgr),
        (_BLACKLISTS, extension_loader.MANAGER.blacklists_mgr),
    ):
        expected = {entry.name for entry in ExtensionManager.ENTRY_POINT_CACHE[group]}
        if missing := expected - set(loaded.names()):
            raise LookupError(f"bandit did not load {', '.join(sorted(missing))}")
    tester.BanditTester._get_nosecs_from_contexts = _no_comment_counts
    return manager.BanditManager(config.BanditConfig(), "file", quiet=True, ignore_nosec=True)


def _no_comment_counts(self: Any, context: Any, test_result: Any = None) -> None:
    """Answer for every place that no `# nosec` comment stands there.

    With `ignore_nosec` bandit comes to the same answer by looking at each line of each node that
    encloses the place, which takes four fifths of its time on a file with large tables.
    """


def _issues(results: list[Any]) -> Iterator[Issue]:
    from bandit.core import docs_utils, extension_loader

    blacklist = extension_loader.MANAGER.blacklist_by_id
    for issue in results:
        lines = [number for number in issue.linerange if number > 0] or [max(issue.lineno, 0)]
        name = blacklist[issue.test_id]["name"] if issue.test_id in blacklist else issue.test
        yield Issue(
            issue.test_id,
            name.replace("-", "_"),  # bandit rewrites its own table when it makes an address
            docs_utils.get_url(issue.test_id),
            _LEVELS.get(issue.severity, "high"),
            _LEVELS.get(issue.confidence, "low"),
            max(issue.lineno, 0),
            max(*lines, issue.lineno, 0),
            issue.text,
        )


def _unusable(value: str, expected: str) -> BanditUnusable:
    return BanditUnusable(
        problem(
            "scan.bandit-unusable",
            "bandit cannot be used, so the wheel was not scanned",
            value=value,
            expected=expected,
            advice="install Sealgate's locked dependencies again",
        )
    )
