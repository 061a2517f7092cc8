"""Tries: take all memory.

Expected: resource_limit
Expected in the fallback: plugin_error, resource_limit
Stopped by: the memory limit; the worker is the OOM killer's first victim
"""


def run(arguments):
    kept = []
    while True:
        kept.append(bytearray(1 << 20))
