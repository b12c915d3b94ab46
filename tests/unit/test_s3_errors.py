# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A connection that breaks is the network's failure, at whatever moment it breaks: the next run may go on."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Iterator

import pytest
from ansible_collections.cora.backup.plugins.module_utils.errors import OffsiteNetworkError, OffsiteTlsError
from ansible_collections.cora.backup.plugins.module_utils.s3_errors import translated


@pytest.fixture
def hangs_up() -> Iterator[int]:
    """The port of a server that hears the first words of a TLS handshake, and closes."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            while True:
                try:
                    connection, _address = server.accept()
                except OSError:
                    return
                with connection:
                    connection.recv(4096)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)
        thread.join(10)


def test_a_connection_cut_in_the_handshake(hangs_up: int) -> None:
    boto3, config = pytest.importorskip("boto3"), pytest.importorskip("botocore.config")
    client = boto3.client(
        "s3",
        endpoint_url=f"https://127.0.0.1:{hangs_up}",
        region_name="here",
        aws_access_key_id="a",
        aws_secret_access_key="b",
        config=config.Config(retries={"total_max_attempts": 1}),
    )
    with (
        pytest.raises(OffsiteNetworkError, match="Could not look at it: The connection broke"),
        translated("look at", "it"),
    ):
        client.list_buckets()


def test_a_connection_cut_in_the_middle_of_an_answer() -> None:
    urllib3_errors = pytest.importorskip("urllib3.exceptions")
    with pytest.raises(OffsiteNetworkError, match="The connection broke"), translated("read", "it"):
        raise urllib3_errors.SSLError(ssl.SSLEOFError(8, "EOF occurred in violation of protocol"))


def test_a_certificate_that_is_not_trusted_is_no_broken_connection() -> None:
    botocore_errors = pytest.importorskip("botocore.exceptions")
    refusal = ssl.SSLCertVerificationError(1, "certificate verify failed: self-signed certificate")
    with pytest.raises(OffsiteTlsError, match="not trusted"), translated("read", "it"):
        raise botocore_errors.SSLError(endpoint_url="https://there", error=refusal)
