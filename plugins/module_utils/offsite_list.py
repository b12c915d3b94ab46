# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which backups are offsite: a row a backup, as the service tells it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any, Optional

from .ids import id_timestamp
from .offsite_layout import ids_newest_first, marker, unescape_text
from .s3_client import S3
from .vault import Vault


def list_offsite(s3: S3, vault_path: str) -> list[dict[str, Any]]:
    """One row a complete backup, newest first; C(local) says whether the vault has it too.

    :raises OffsiteError: when the bucket cannot be listed
    """
    local = set(Vault(vault_path).ids())
    ids = list(ids_newest_first(s3))
    with ThreadPoolExecutor(s3.settings.connections) as pool:
        found = list(pool.map(lambda backup_id: marker(s3, backup_id), ids))
    return [_row(backup_id, answer, local) for backup_id, answer in zip(ids, found) if answer is not None]


def _row(backup_id: str, answer: dict[str, Any], local: set[str]) -> dict[str, Any]:
    metadata = answer.get("Metadata", {})
    project = metadata.get("project")
    return {
        "id": backup_id,
        "created_at": id_timestamp(backup_id),
        "uploaded_at": f"{answer['LastModified']:%Y-%m-%dT%H:%M:%SZ}",
        "project": unescape_text(project) if project else None,
        "objects": _number(metadata.get("objects")),
        "size_bytes": _number(metadata.get("bytes")),
        "encrypted": answer["encrypted"],
        "local": backup_id in local,
    }


def _number(text: Optional[str]) -> Optional[int]:
    return int(text) if text and text.isascii() and text.isdigit() else None
