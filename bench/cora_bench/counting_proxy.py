# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A TCP relay that counts: what went over the network is measured on it, and not taken from what a program says."""

from __future__ import annotations

import contextlib
import socket
import threading

_CHUNK_BYTES = 256 * 1024


class CountingProxy:
    """Relays connections on loopback to a port of loopback, and counts the bytes of each way.

    :param target_port: where to
    """

    def __init__(self, target_port: int) -> None:
        self._target_port = target_port
        self._lock = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port: int = self._listener.getsockname()[1]
        self._sent = self._received = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def take(self) -> tuple[int, int]:
        """Bytes sent to the server and received from it since the last call."""
        with self._lock:
            counted = (self._sent, self._received)
            self._sent = self._received = 0
        return counted

    def _accept(self) -> None:
        while True:
            client, _address = self._listener.accept()
            server = socket.create_connection(("127.0.0.1", self._target_port))
            for one in (client, server):
                one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=self._relay, args=(client, server, True), daemon=True).start()
            threading.Thread(target=self._relay, args=(server, client, False), daemon=True).start()

    def _relay(self, source: socket.socket, target: socket.socket, is_sent: bool) -> None:
        # whoever hangs up ends both ways
        with contextlib.suppress(OSError):
            while data := source.recv(_CHUNK_BYTES):
                with self._lock:
                    if is_sent:
                        self._sent += len(data)
                    else:
                        self._received += len(data)
                target.sendall(data)
        for one in (source, target):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
