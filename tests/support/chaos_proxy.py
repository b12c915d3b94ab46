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
from types import TracebackType

_CHUNK_BYTES = 65536


class ChaosProxy:
    """``with ChaosProxy(port) as proxy:`` relays ``proxy.port`` to that port of loopback.

    :param cut_after_bytes: a connection is reset once so many bytes of it went to the service
    :param cut_answer_after_bytes: the same for bytes that came back: the request was done, its answer is lost
    :param stall_after_bytes: from then on nothing of a connection goes on, and it stays open
    :param times: how many connections that happens to; None for all
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
        times: int | None = None,
        refuse: bool = False,
        bytes_per_second: int = 0,
        is_http_proxy: bool = False,
    ) -> None:
        self.service_port = service_port
        self.cut_after_bytes = cut_after_bytes
        self.cut_answer_after_bytes = cut_answer_after_bytes
        self.stall_after_bytes = stall_after_bytes
        self.times = times
        self.refuse = refuse
        self.bytes_per_second = bytes_per_second
        self.is_http_proxy = is_http_proxy
        #: What happened: bytes in both directions, connections, and how often a fault struck.
        self.sent_bytes = 0
        self.received_bytes = 0
        self.connections = 0
        self.faults = 0
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
        answers = threading.Thread(target=self._relay, args=(service, client, False), daemon=True)
        answers.start()
        self._relay(client, service, True)
        answers.join()
        with self._lock:
            self._open -= {client, service}
        for each in (client, service):
            each.close()

    def _relay(self, source: socket.socket, target: socket.socket, is_upward: bool) -> None:
        """Bytes of one direction, until it ends or a fault strikes."""
        seen = 0
        cut_after = self.cut_after_bytes if is_upward else self.cut_answer_after_bytes
        stall_after = self.stall_after_bytes
        with contextlib.suppress(OSError):
            while data := source.recv(_CHUNK_BYTES):
                seen += len(data)
                if cut_after is not None and seen > cut_after and self._strikes():
                    _reset(source)
                    _reset(target)
                    return
                if is_upward and stall_after is not None and seen > stall_after and self._strikes():
                    self._closed.wait()
                    return
                self._count(len(data), is_upward)
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)

    def _count(self, size_bytes: int, is_upward: bool) -> None:
        with self._lock:
            if is_upward:
                self.sent_bytes += size_bytes
            else:
                self.received_bytes += size_bytes
            if is_upward and self.bytes_per_second:
                time.sleep(size_bytes / self.bytes_per_second)  # the lock makes all connections share it

    def _strikes(self) -> bool:
        with self._lock:
            if self.times is not None and self.faults >= self.times:
                return False
            self.faults += 1
            return True


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
