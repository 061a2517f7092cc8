"""The wheels that a plugin locks, in a folder on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from trust.errors import SealgateError, problem
from trust.wheel import Plugin
from trust.wheel.bounds import MAX_WHEEL_BYTES

FOLDER: Final = "dependencies"
"""Where a fetched release keeps them."""


class DependencyMissing(SealgateError):
    """A locked wheel cannot be read from the folder."""


def read(plugin: Plugin, folder: Path) -> list[bytes]:
    """Return the bytes of every wheel that the plugin's lock names, in the lock's order.

    Their digests are not compared here; whoever takes them does that.

    Args:
        plugin: the plugin.
        folder: has the wheels under their file names.

    Raises:
        DependencyMissing: names each that cannot be read.
    """
    found, problems = [], []
    for item in plugin.dependencies:
        path = folder / item.filename
        try:
            with path.open("rb") as file:
                found.append(file.read(MAX_WHEEL_BYTES + 1))
        except OSError as error:
            problems.append(
                problem(
                    "dependencies.file",
                    f"the wheel of the dependency {item.name} cannot be read",
                    value=error.strerror or type(error).__name__,
                    expected=f"a file with sha256:{item.sha256}",
                    advice=f"put the locked wheels into one folder, for instance with `pip "
                    f"download --no-deps --dest {folder} {item.name}=={item.version}`",
                    where=str(path),
                )
            )
    if problems:
        raise DependencyMissing(problems)
    return found
