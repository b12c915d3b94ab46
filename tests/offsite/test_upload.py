# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Uploading: what stands in the bucket afterwards is the backup, as other programs read it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ansible_collections.cora.backup.plugins.module_utils.offsite_layout import list_dates, marker, newest
from ansible_collections.cora.backup.plugins.module_utils.offsite_list import list_offsite
from ansible_collections.cora.backup.plugins.module_utils.offsite_upload import upload_backup
from ansible_collections.cora.backup.plugins.module_utils.s3_client import S3
from support.engine import backup
from support.tools import tool


def download(client: Any, s3: S3, backup_id: str, target: Path) -> None:
    """Everything of a backup by plain GETs; keys as they are."""
    prefix = f"prod/{backup_id[:4]}-{backup_id[4:6]}-{backup_id[6:8]}/{backup_id}/"
    for page in client.get_paginator("list_objects_v2").paginate(Bucket=s3.bucket, Prefix=prefix):
        for entry in page["Contents"]:
            file = target / entry["Key"][len(prefix) :]
            file.parent.mkdir(parents=True, exist_ok=True)
            client.download_file(s3.bucket, entry["Key"], str(file))


def test_what_is_uploaded_is_the_backup(s3: S3, client: Any, project: Path, vault: Path, tmp_path: Path) -> None:
    made = backup(project, vault)
    assert marker(s3, made.id) is None
    result = upload_backup(s3, str(vault), made.id)
    assert result["changed"] and result["bytes_sent"] > 0
    target = tmp_path / "there"
    download(client, s3, made.id, target)
    tool("sha256sum", "--check", "--strict", "--quiet", "SHA256SUMS.txt", cwd=target)
    tool("diff", "-r", made.path, target)
    assert not upload_backup(s3, str(vault), made.id)["changed"]
    assert newest(s3) == made.id == newest(s3, project=str(project))
    assert list_dates(s3) == [f"{made.id[:4]}-{made.id[4:6]}-{made.id[6:8]}"]
    rows = list_offsite(s3, str(vault))
    assert [(row["id"], row["project"], row["local"]) for row in rows] == [(made.id, str(project), True)]
