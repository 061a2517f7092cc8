"""The fallback without an engine: a process in bubblewrap, with resource limits. Not a container.

An operator's explicit choice for machines that have no engine (`sandbox.fallback`), said in every
record and reply. docs/sandbox.md says what it does not hold.
"""

from runner.sandbox.bubblewrap.driver import SubprocessDriver

__all__ = ["SubprocessDriver"]
