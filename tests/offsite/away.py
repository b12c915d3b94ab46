# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bringing backups back, in this process or in one that can be killed; and what the service saw of it."""

from __future__ import annotations

import dataclasses
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "playbooks" / "collections"))

from ansible_collections.cora.backup.plugins.module_utils.offsite_fetch import FetchRequest, fetch_backup
from ansible_collections.cora.backup.plugins.module_utils.offsite_layout import key_of
from ansible_collections.cora.backup.plugins.module_utils.offsite_settings import Credentials, OffsiteSettings

_GET = re.compile(r'"GET (/[^ ]*) HTTP/1\.1" (\d+) (\d+) ')


def fetch(
    settings: OffsiteSettings, vault: Path, id_text: str = "latest", *, check: bool = False, **request: Any
) -> dict[str, Any]:
    """Fetch a backup."""
    return fetch_backup(FetchRequest(vault=str(vault), offsite=settings, id_text=id_text, **request), check=check)


def start_fetch(settings: OffsiteSettings, vault: Path, id_text: str) -> subprocess.Popen[bytes]:
    """The same in a process of its own."""
    process = subprocess.Popen([sys.executable, __file__], stdin=subprocess.PIPE, start_new_session=True)
    assert process.stdin is not None
    with process.stdin as stream:
        stream.write(json.dumps(as_request(settings, vault, id_text)).encode())
    return process


def as_request(settings: OffsiteSettings, vault: Path, id_text: str) -> dict[str, Any]:
    """What such a process reads from its standard input."""
    return {**dataclasses.asdict(settings), "vault": str(vault), "id_text": id_text}


def gets_logged(log: str) -> list[tuple[str, int]]:
    """Path and bytes of each GET of an object that a gateway answered; lists are none."""
    found = [(match.group(1), int(match.group(3))) for match in _GET.finditer(log)]
    return [(path, size_bytes) for path, size_bytes in found if "list-type" not in path]


def replace_object(client: Any, settings: OffsiteSettings, backup_id: str, path: str, change: Any) -> None:
    """Put other bytes in the place of an object, and leave what is said about it as it was: bit rot, or an enemy."""
    key = key_of(settings.prefix, backup_id, path, encrypted=bool(settings.encrypt_to))
    answer = client.get_object(Bucket=settings.bucket, Key=key)
    data = change(answer["Body"].read())
    client.put_object(Bucket=settings.bucket, Key=key, Body=data, Metadata=answer["Metadata"])


def with_another_digit(data: bytes) -> bytes:
    """A change for :func:`replace_object`: a digest stays a digest, which a letter of it with a flipped bit may not."""
    at = next(at for at, byte in enumerate(data) if byte in b"0123456789")
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


def with_a_bit_flipped(at: int) -> Any:
    """A change for :func:`replace_object`."""

    def change(data: bytes) -> bytes:
        changed = bytearray(data)
        changed[at] ^= 1
        return bytes(changed)

    return change


def _child() -> None:
    document = json.loads(sys.stdin.read())
    vault, id_text = document.pop("vault"), document.pop("id_text")
    document["credentials"] = Credentials(**document["credentials"])
    document["encrypt_to"] = tuple(document["encrypt_to"])
    fetch(OffsiteSettings(**document), Path(vault), id_text)


if __name__ == "__main__":
    os.environ.setdefault("PYTHONDONTWRITEBYTECODE", "1")
    _child()
