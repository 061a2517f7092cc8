"""Serving an authority: one process of its own, which alone reads its keys."""

from __future__ import annotations

import logging
import os
from pathlib import Path

import waitress

from authority.app import MAX_BODY, create_app
from authority.setup import open_authority, open_clients, open_passkeys


def serve(state_dir: Path, host: str, port: int) -> None:
    """Serve the authority in `state_dir` until the process is told to stop.

    Args:
        state_dir: what `authority.setup.initialise` made.
        host: the address to listen on; keep it loopback unless TLS stands in front.
        port: the TCP port.

    Raises:
        StateRefused: the state is missing, open to others, or damaged.
        LogError: the log cannot be opened, or is damaged.
        OSError: the port cannot be listened on.
    """
    os.umask(0o077)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    application = create_app(
        *open_authority(state_dir), open_clients(state_dir), open_passkeys(state_dir)
    )
    waitress.serve(
        application,
        host=host,
        port=port,
        threads=4,
        ident=None,
        max_request_body_size=16 * MAX_BODY,
        channel_timeout=30,
    )
