# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Takes a deletion back in a bucket with versions, with boto3 alone: undelete.py KEY."""

from __future__ import annotations

import sys
from pathlib import Path

import boto3
from botocore.config import Config

lines = Path("/etc/cora/backup.env").read_text(encoding="utf-8").splitlines()
known = dict(line.split("=", 1) for line in lines if "=" in line)
client = boto3.client(
    "s3",
    endpoint_url=known["SPACES_ENDPOINT"],
    aws_access_key_id=known["SPACES_ACCESS_KEY"],
    aws_secret_access_key=known["SPACES_SECRET_KEY"],
    region_name="us-east-1",
    verify="/etc/ssl/certs/ca-certificates.crt",
    config=Config(s3={"addressing_style": "path"}),
)
versions = client.list_object_versions(Bucket=known["BACKUP_BUCKET"], Prefix=sys.argv[1])
(marker,) = [one for one in versions["DeleteMarkers"] if one["IsLatest"]]
client.delete_object(Bucket=known["BACKUP_BUCKET"], Key=marker["Key"], VersionId=marker["VersionId"])
