"""Tries: recurse without a bound.

Expected: plugin_error, resource_limit, timeout
Stopped by: RLIMIT_STACK, the memory limit, the CPU limit
"""

import sys


def down(level):
    return down(level + 1)


def run(arguments):
    sys.setrecursionlimit(2**31 - 1)
    return down(0)
