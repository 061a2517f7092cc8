"""PID 1 of a container of cells, played by the test: its end of a socket pair."""

from __future__ import annotations

import socket
from types import TracebackType

from runner.sandbox.cell.container import CellContainer
from runner.sandbox.cell.options import CellHardening
from runner.sandbox.frames import LiveSink, Request
from runner.sandbox.harness import cell_protocol, protocol
from runner.sandbox.oci.container import OciContainer
from runner.sandbox.oci.runtime import Process
from runner.sandbox.options import Hardening
from trust.wheel import Limits

OUTPUT_BYTES = 4 << 20
SETUP = (b"wheel", b"\0" * 8, Limits(output_bytes=OUTPUT_BYTES))


class _Nobody:
    """Makes no containers."""

    def launch(
        self, container: str, hardening: Hardening, stream: socket.socket, errors: int
    ) -> Process:
        raise NotImplementedError

    def remove(self, container: str) -> bool:
        return True


class Peer:
    """What is at the other end of `container`, which has been set up and takes calls."""

    def __init__(self, cells: int = 4) -> None:
        ours, self.end = socket.socketpair()
        warm = OciContainer(_Nobody(), "played", CellHardening())
        warm._socket = ours
        self.container = CellContainer(warm, cells)
        self.end.sendall(cell_protocol.DONE.pack(cell_protocol.DONE_MAGIC, 0, True, 0))
        self.container.set_up(*SETUP)
        self.called: dict[int, bytes] = {}
        """The nonces of calls that have not begun, by number."""
        self.some(cell_protocol.SETUP.size + len(SETUP[0]) + len(SETUP[1]))

    def __enter__(self) -> Peer:
        self.end.settimeout(10)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.end.close()
        self.container.destroy()

    def some(self, count: int) -> bytes:
        """Read that many bytes; b"" at the end."""
        data = b""
        while len(data) < count:
            piece = self.end.recv(count - len(data))
            if not piece:
                return b""
            data += piece
        return data

    def next_call(self) -> tuple[int, bytes, bytes]:
        """Read until a call begins; return its number, nonce and arguments."""
        while True:
            found = self.next_begun(self.some(cell_protocol.CANCEL.size))
            if found is not None:
                return found

    def next_begun(self, start: bytes) -> tuple[int, bytes, bytes] | None:
        """Read a frame that begins with `start`; return the call that begins with it, if one does.

        It is added to `called` and taken from there.
        """
        if start.startswith(cell_protocol.CALL_MAGIC):
            header = cell_protocol.CALL.unpack(start + self._rest(cell_protocol.CALL.size, start))
            self.some(sum(header[3:5]))
            self.called[header[1]] = header[-1]
            return None
        magic, number, length = cell_protocol.GO.unpack(
            start + self._rest(cell_protocol.GO.size, start)
        )
        assert magic == cell_protocol.GO_MAGIC
        return number, self.called.pop(number), self.some(length)

    def _rest(self, size: int, start: bytes) -> bytes:
        return self.some(size - len(start))

    def next_cancel(self) -> int:
        """Read an order to end a call; return its number."""
        magic, number = cell_protocol.CANCEL.unpack(self.some(cell_protocol.CANCEL.size))
        assert magic == cell_protocol.CANCEL_MAGIC
        return int(number)

    @staticmethod
    def response(
        number: int, nonce: bytes, payload: bytes = b"1", ending: int = protocol.RESULT
    ) -> bytes:
        """Return the frame that answers a call."""
        lengths = (len(payload) if ending == protocol.RESULT else 0, 0, 0)
        header = cell_protocol.RESPONSE.pack(
            cell_protocol.RESPONSE_MAGIC, number, ending, *lengths, 0, 0, 0, 0, 0, nonce
        )
        return header + payload[: lengths[0]]

    def answer(self, number: int, nonce: bytes, payload: bytes = b"1") -> None:
        """Answer a call."""
        self.end.sendall(self.response(number, nonce, payload))


def request(
    arguments: bytes = b"{}", wall_seconds: float = 10.0, live: LiveSink | None = None
) -> Request:
    """Return a call."""
    return Request(b"wheel", "m", "f", arguments, wall_seconds, 1, OUTPUT_BYTES, live)
