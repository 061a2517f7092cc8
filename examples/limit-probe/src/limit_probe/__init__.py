"""Try what a plugin must not do, and report what happened.

Each method goes for one limit or one wall of the sandbox. Where the sandbox says no by an error,
the method returns the error; where it says no by ending the call, there is no result at all, and
the runner's answer says which limit it was.
"""

from limit_probe.limits import cpu, memory, output, processes, wall
from limit_probe.walls import environment, network, write

__all__ = ["cpu", "environment", "memory", "network", "output", "processes", "wall", "write"]
