"""Go for what a call is never given: the disk, the network, the host's environment."""

import os
import pathlib
import socket


def write(arguments):
    """Write a file into the folder `path`, and take it away again."""
    target = pathlib.Path(arguments.get("path", "/")) / "limit-probe"
    try:
        target.write_bytes(b"\0" * (arguments.get("kibibytes", 1) << 10))
        target.unlink()
    except OSError as error:
        return _refused(error, target)
    return {"outcome": "allowed", "error": None, "target": str(target)}


def network(arguments):
    """Open a connection to `host` and `port`."""
    host, port = arguments.get("host", "192.0.2.1"), arguments.get("port", 80)
    try:
        with socket.create_connection((host, port), timeout=1):
            pass
    except OSError as error:
        return _refused(error, f"{host}:{port}")
    return {"outcome": "allowed", "error": None, "target": f"{host}:{port}"}


def environment(_):
    """Say what can be seen from here: user, environment variables, entries of the root folder."""
    return {
        "user": os.getuid(),
        "variables": sorted(os.environ),
        "root": sorted(path.name for path in pathlib.Path("/").iterdir()),
    }


def _refused(error, target):
    text = f"{type(error).__name__}: {error.strerror or error}"
    return {"outcome": "refused", "error": text, "target": str(target)}
