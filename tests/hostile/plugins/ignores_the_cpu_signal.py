"""Tries: compute for ever and ignore SIGXCPU.

Expected: timeout
Runtimes: runc
Stopped by: the supervisor counts CPU time; the hard RLIMIT_CPU is SIGKILL
"""

import signal


def run(arguments):
    signal.signal(signal.SIGXCPU, signal.SIG_IGN)
    while True:
        pass
