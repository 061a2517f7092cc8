"""The plugin's wheel: strict reading of an untrusted archive, from bytes, in memory.

Nothing is ever extracted, imported or executed here. `inspect_wheel` returns every structural
problem together; `read_wheel` raises them.
"""

from trust.wheel.dependency import DependencyWheel, inspect_dependencies, inspect_dependency
from trust.wheel.model import Dependency, Limits, Manifest, Member, Method, Plugin, WheelRejected
from trust.wheel.reader import inspect_wheel, read_members, read_wheel

__all__ = [
    "Dependency",
    "DependencyWheel",
    "Limits",
    "Manifest",
    "Member",
    "Method",
    "Plugin",
    "WheelRejected",
    "inspect_dependencies",
    "inspect_dependency",
    "inspect_wheel",
    "read_members",
    "read_wheel",
]
