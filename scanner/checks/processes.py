"""Other programs and processes. The sandbox has nothing to start; a reviewer asks why."""

from __future__ import annotations

from collections.abc import Iterator

from scanner.model import Rule
from scanner.source import Hit, Source, hit_at

STARTS = Rule(
    "SG411",
    "StartsProcess",
    "medium",
    "The source starts another program.",
    "Do the work in Python: the sandbox has no other programs.",
)
IMPORTS = Rule(
    "SG412",
    "ProcessModule",
    "low",
    "The source imports a module for processes.",
    "Take the import away if nothing needs it.",
)
RULES = (STARTS, IMPORTS)

_STARTERS = (
    "os.system",
    "os.popen",
    "os.exec",
    "os.spawn",
    "os.posix_spawn",
    "os.fork",
    "os.startfile",
    "pty.spawn",
    "pty.fork",
    "subprocess.run",
    "subprocess.call",
    "subprocess.check_",
    "subprocess.Popen",
    "subprocess.getoutput",
    "subprocess.getstatusoutput",
    "asyncio.create_subprocess_",
    "_posixsubprocess.",
)
_MODULES = frozenset(
    {
        "subprocess",
        "multiprocessing",
        "pty",
        "_posixsubprocess",
        "pexpect",
        "sh",
        "concurrent.futures.ProcessPoolExecutor",
    }
)


def check(source: Source) -> Iterator[Hit]:
    """Yield a hit for each start of a program and each such import."""
    for call in source.calls:
        name = source.dotted(call.func)
        if name.startswith(_STARTERS):
            yield hit_at(STARTS, call, f"call of {name}")
    for module, statement in source.imports_of(_MODULES):
        yield hit_at(IMPORTS, statement, f"import of {module}")
