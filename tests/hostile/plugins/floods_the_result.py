"""Tries: return a result of 30 MB.

Expected: resource_limit
Expected in the fallback: plugin_error, resource_limit
Runtimes: runc
Stopped by: the result cap
"""


def run(arguments):
    return "x" * (30 << 20)
