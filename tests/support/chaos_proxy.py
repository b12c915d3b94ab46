# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A relay in front of a service, which counts bytes and does to connections what networks do: cut, stall, refuse.

It knows nothing of what it relays, so TLS goes through it too. As an HTTP proxy (``CONNECT``) it serves where a proxy
is asked for.
"""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
import time
from dataclasses import dataclass
from types import TracebackType

_CHUNK_BYTES = 65536


class ChaosProxy:
    """``with ChaosProxy(port) as proxy:`` relays ``proxy.port`` to that port of loopback.

    :param cut_after_bytes: a connection is reset once so many bytes of it went to the service
    :param cut_answer_after_bytes: the same for bytes that came back: the request was done, its answer is lost
    :param stall_after_bytes: from then on nothing of a connection goes on, and it stays open
    :param times: how many connections that happens to; None for all
    :param lose_answer_to: plain HTTP: the answer to a request that holds these bytes is lost, and its connection
    :param dies_after_bytes: once so many bytes of all connections went to the service, nothing goes any more
    :param refuse: connections are reset at once
    :param bytes_per_second: of all connections together, towards the service
    :param is_http_proxy: clients say ``CONNECT`` first
    """

    def __init__(
        self,
        service_port: int,
        *,
        cut_after_bytes: int | None = None,
        cut_answer_after_bytes: int | None = None,
        stall_after_bytes: int | None = None,
        lose_answer_to: bytes | None = None,
        dies_after_bytes: int | None = None,
        times: int | None = None,
        refuse: bool = False,
        bytes_per_second: int = 0,
        is_http_proxy: bool = False,
    ) -> None:
        self.service_port = service_port
        self.cut_after_bytes = cut_after_bytes
        self.cut_answer_after_bytes = cut_answer_after_bytes
        self.stall_after_bytes = stall_after_bytes
        self.lose_answer_to = lose_answer_to
        self.dies_after_bytes = dies_after_bytes
        self.times = times
        self.refuse = refuse
        self.bytes_per_second = bytes_per_second
        self.is_http_proxy = is_http_proxy
        #: What happened: bytes in both directions, connections, and how often a fault struck.
        self.sent_bytes = 0
        self.received_bytes = 0
        self.connections = 0
        self.faults = 0
        self._free_at = 0.0
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._closed = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port: int = self._listener.getsockname()[1]

    def __enter__(self) -> ChaosProxy:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closed.set()
        self._listener.shutdown(socket.SHUT_RDWR)  # or the thread that waits there would take one more
        self._listener.close()
        with self._lock:
            for each in self._open:
                _reset(each)

    def wait_for(self, sent_bytes: int, *, seconds: float = 60) -> None:
        """Wait until so much went to the service."""
        deadline = time.monotonic() + seconds
        while self.sent_bytes < sent_bytes:
            assert time.monotonic() < deadline, f"only {self.sent_bytes} bytes went through"
            time.sleep(0.005)

    def _accept(self) -> None:
        while not self._closed.is_set():
            try:
                client, _address = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            if self.refuse:
                self.faults += 1
                _reset(client)
                continue
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        if self.is_http_proxy and not _answer_connect(client):
            client.close()
            return
        try:
            service = socket.create_connection(("127.0.0.1", self.service_port))
        except OSError:
            _reset(client)
            return
        with self._lock:
            self._open |= {client, service}
        connection = _Connection(client, service)
        answers = threading.Thread(target=self._relay, args=(connection, False), daemon=True)
        answers.start()
        self._relay(connection, True)
        answers.join()
        with self._lock:
            self._open -= {client, service}
        for each in (client, service):
            each.close()

    def _relay(self, connection: _Connection, is_upward: bool) -> None:
        """Bytes of one direction, until it ends or a fault strikes."""
        source, target = connection.client, connection.service
        if not is_upward:
            source, target = target, source
        seen = 0
        with contextlib.suppress(OSError):
            while data := source.recv(_CHUNK_BYTES):
                seen += len(data)
                if self._cuts(connection, data, seen, is_upward):
                    connection.reset()
                    return
                if is_upward and _over(seen, self.stall_after_bytes) and self._strikes():
                    self._closed.wait()
                    return
                self._count(len(data), is_upward)
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)

    def _cuts(self, connection: _Connection, data: bytes, seen: int, is_upward: bool) -> bool:
        """Whether the connection ends here."""
        if is_upward:
            if self.lose_answer_to is not None and self.lose_answer_to in data:
                connection.loses_answer = True
            if _over(self.sent_bytes, self.dies_after_bytes):
                self.refuse = True
                self.faults += 1
                return True
            return _over(seen, self.cut_after_bytes) and self._strikes()
        if connection.loses_answer and not data.startswith(b"HTTP/1.1 100"):
            connection.loses_answer = False
            return self._strikes()
        return _over(seen, self.cut_answer_after_bytes) and self._strikes()

    def _count(self, size_bytes: int, is_upward: bool) -> None:
        with self._lock:
            if not is_upward:
                self.received_bytes += size_bytes
                return
            self.sent_bytes += size_bytes
            if not self.bytes_per_second:
                return
            now = time.monotonic()
            self._free_at = max(self._free_at, now) + size_bytes / self.bytes_per_second
            wait_seconds = self._free_at - now
        self._closed.wait(wait_seconds)

    def _strikes(self) -> bool:
        with self._lock:
            if self.times is not None and self.faults >= self.times:
                return False
            self.faults += 1
            return True


@dataclass
class _Connection:
    client: socket.socket
    service: socket.socket
    loses_answer: bool = False

    def reset(self) -> None:
        _reset(self.client)
        _reset(self.service)


def _over(size_bytes: int, limit_bytes: int | None) -> bool:
    return limit_bytes is not None and size_bytes > limit_bytes


def _answer_connect(client: socket.socket) -> bool:
    request = b""
    while b"\r\n\r\n" not in request:
        data = client.recv(_CHUNK_BYTES)
        if not data:
            return False
        request += data
    if not request.startswith(b"CONNECT "):
        return False
    client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
    return True


def _reset(connection: socket.socket) -> None:
    """Close a connection the rude way, as a router that lost its state does."""
    with contextlib.suppress(OSError):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.shutdown(socket.SHUT_RDWR)
    connection.close()
