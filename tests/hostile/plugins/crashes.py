"""Tries: crash the interpreter.

Expected: plugin_error
Stopped by: the supervisor is another process
"""

import ctypes


def run(arguments):
    ctypes.string_at(0)
