"""Tries: return NaN, a surrogate, or an object.

Expected: plugin_error
Runtimes: runc
Stopped by: strict JSON in the worker, so that an honest author gets a clear error
"""


def run(arguments):
    return {"a": float("nan"), "b": "\ud800", "c": object()}
