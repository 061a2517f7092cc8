"""Files that Python or a tool runs by their name, without anybody calling them."""

from __future__ import annotations

from collections.abc import Iterator

from scanner.members import MemberFile
from scanner.model import Rule
from scanner.source import Hit

STARTUP = Rule(
    "SG111",
    "StartupHook",
    "high",
    "A file that the interpreter runs at its start, before anybody calls the plugin.",
    "Leave it out: a plugin's code runs only when one of its methods is called.",
)
TOOL = Rule(
    "SG112",
    "ToolHook",
    "medium",
    "A file that a build or test tool runs by its name.",
    "Leave it out of the wheel: it belongs in the source repository.",
)
RULES = (STARTUP, TOOL)

_STARTUP_NAMES = frozenset({"sitecustomize.py", "usercustomize.py"})
_STARTUP_SUFFIXES = frozenset({".pth", ".egg-link"})
_TOOL_NAMES = frozenset({"setup.py", "conftest.py", "noxfile.py", "tasks.py", "hatch_build.py"})


def check(member: MemberFile) -> Iterator[Hit]:
    """Yield a hit where the file's name makes somebody run it."""
    if member.name in _STARTUP_NAMES or member.suffix in _STARTUP_SUFFIXES:
        yield Hit(STARTUP, f"{member.name} is run when the interpreter starts")
    if member.name in _TOOL_NAMES:
        yield Hit(TOOL, f"{member.name} is run by build or test tools")
