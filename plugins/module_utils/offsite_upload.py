# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Copies backups of the vault to the service, oldest first, each one's SHA256SUMS.txt last."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any, Optional

from .names import to_bytes
from .offsite_items import Bundle, Item, plain_bundle
from .offsite_layout import marker
from .offsite_notes import lock, write_note
from .s3_client import S3
from .s3_errors import translated
from .vault import Vault


def upload_backup(s3: S3, vault_path: str, backup_id: str) -> dict[str, Any]:
    """Send one backup, unless it is there.

    :returns: C(id), C(changed), C(bytes_sent), C(bytes_copied)
    :raises CoraError: when it could not be sent; what was sent stays, and the next run goes on from there
    """
    vault = Vault(vault_path)
    with lock(vault):
        if marker(s3, backup_id) is not None:
            return _result(backup_id, None)
        bundle = plain_bundle(vault, backup_id, s3.prefix)
        for item in bundle.items:
            _send(s3, item, item.metadata())
        _send(s3, bundle.marker, bundle.marker_metadata())
        result = _result(backup_id, bundle)
        write_note(vault, backup_id, {**result, "uploaded_at": f"{datetime.now(timezone.utc):%Y-%m-%dT%H:%M:%SZ}"})
    return result


def _send(s3: S3, item: Item, metadata: dict[str, str]) -> None:
    with translated("upload", item.key):
        s3.client.upload_file(to_bytes(item.file).decode(), s3.bucket, item.key, ExtraArgs={"Metadata": metadata})


def _result(backup_id: str, bundle: Optional[Bundle]) -> dict[str, Any]:
    return {
        "id": backup_id,
        "changed": bundle is not None,
        "bytes_sent": bundle.size_bytes if bundle else 0,
        "bytes_copied": 0,
    }
