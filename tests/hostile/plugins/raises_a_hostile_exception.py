"""Tries: raise an exception whose text attacks whoever shows it.

Expected: plugin_error
Runtimes: runc
Stopped by: the worker bounds and cleans it; the runner reads it strictly
"""


class Evil(Exception):
    def __str__(self):
        raise SystemExit("\x1b[2J" + "\ud800" * 100000)


Evil.__qualname__ = "\x1b[31mok\n" * 10000


def run(arguments):
    raise Evil
