"""Tries: compute for ever.

Expected: timeout
Stopped by: the CPU limit (cgroup counter, RLIMIT_CPU)
"""


def run(arguments):
    while True:
        pass
