"""Reading of what surrounds the plugin: the environment as a whole, the user, the machine."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from scanner.model import Rule
from scanner.source import Hit, Source, hit_at

HARVEST = Rule(
    "SG421",
    "EnvironmentHarvest",
    "medium",
    "The source reads the whole environment, where deployments keep secrets.",
    "Read the one variable that is needed, or take it as an argument.",
)
FINGERPRINT = Rule(
    "SG422",
    "MachineFingerprint",
    "low",
    "The source asks who the user or the machine is.",
    "Take it away if the plugin's work does not need it.",
)
RULES = (HARVEST, FINGERPRINT)

_WHOLE = frozenset({"os.environ.items", "os.environ.copy", "os.environ.values"})
_TAKERS = frozenset({"dict", "str", "repr", "list", "json.dumps", "vars"})
_WHO = frozenset(
    {
        "getpass.getuser",
        "os.getlogin",
        "socket.gethostname",
        "platform.node",
        "platform.uname",
        "os.uname",
        "uuid.getnode",
    }
)


def check(source: Source) -> Iterator[Hit]:
    """Yield a hit for each such reading."""
    for call in source.calls:
        name = source.dotted(call.func)
        if name in _WHOLE or (name in _TAKERS and any(_environ(source, a) for a in call.args)):
            yield hit_at(HARVEST, call, "the whole environment is read")
        elif name in _WHO:
            yield hit_at(FINGERPRINT, call, f"call of {name}")


def _environ(source: Source, node: ast.expr) -> bool:
    return isinstance(node, ast.Name | ast.Attribute) and source.dotted(node) == "os.environ"
