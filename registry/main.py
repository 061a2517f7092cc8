"""The registry's web service in the foreground, served by waitress."""

from __future__ import annotations

import gc
import logging
import sys

import waitress

from registry.app import create_app
from registry.settings import Settings

THREADS = 8


def serve(settings: Settings, host: str, port: int) -> None:
    """Serve the registry until the process is told to stop.

    Args:
        settings: the validated settings.
        host: the address to listen on.
        port: the TCP port.

    Raises:
        Unavailable: the database or the blob store cannot be used.
        OSError: the address cannot be listened on.
    """
    logging.basicConfig(
        level=logging.INFO,
        stream=sys.stdout,
        format="%(asctime)s %(name)s %(levelname)s %(message)s",
    )
    app = create_app(settings)
    # What was loaded stays: a full collection in the middle of a request need not look at it.
    gc.collect()
    gc.freeze()
    waitress.serve(
        app,
        host=host,
        port=port,
        threads=THREADS,
        ident=None,
        max_request_body_size=app.config["MAX_CONTENT_LENGTH"] + settings.max_dependency_bytes,
        channel_timeout=60,
    )
