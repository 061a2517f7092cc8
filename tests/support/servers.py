"""HTTP servers of a test's own, each in a thread, silent, on a free port of this machine."""

from __future__ import annotations

import functools
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

from werkzeug.serving import WSGIRequestHandler, make_server

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication


@contextmanager
def serving(handler: type[BaseHTTPRequestHandler], **arguments: Any) -> Iterator[str]:
    """Serve with a handler, made with these arguments; give the address, without a final slash."""

    class Silent(handler):  # type: ignore[misc, valid-type] # the class is an argument
        def log_message(self, format: str, *args: Any) -> None:
            """Say nothing."""

    made = functools.partial(Silent, **arguments)
    with ThreadingHTTPServer(("127.0.0.1", 0), made) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()


@contextmanager
def folder(path: Path) -> Iterator[str]:
    """Serve a folder with the standard library's static file server; give its address."""
    with serving(SimpleHTTPRequestHandler, directory=str(path)) as address:
        yield address


@contextmanager
def pages(answers: Mapping[str, bytes | int], cut: int = 0) -> Iterator[str]:
    """Serve bodies, or statuses, by path; give the address.

    Args:
        answers: by path; any other is 404.
        cut: how many bytes each body lacks at its end.
    """

    class Pages(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            answer = answers.get(self.path, 404)
            body = answer if isinstance(answer, bytes) else b""
            self.send_response(answer if isinstance(answer, int) else 200)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Location", "/")
            self.end_headers()
            self.wfile.write(body[: len(body) - cut])

    with serving(Pages) as address:
        yield address


class _Quiet(WSGIRequestHandler):
    def log_request(self, code: object = "-", size: object = "-") -> None:
        """Say nothing."""


@contextmanager
def application(app: WSGIApplication, port: int = 0, **options: Any) -> Iterator[str]:
    """Serve a WSGI application, by default on a free port; give its address."""
    server = make_server("127.0.0.1", port, app, threaded=True, request_handler=_Quiet, **options)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
