# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The bucket of /etc/cora/backup.env, by boto3 alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

_lines = Path("/etc/cora/backup.env").read_text(encoding="utf-8").splitlines()
_known = dict(line.split("=", 1) for line in _lines if "=" in line)
BUCKET = _known["BACKUP_BUCKET"]


def connect() -> Any:
    """A client of boto3."""
    return boto3.client(
        "s3",
        endpoint_url=_known["SPACES_ENDPOINT"],
        aws_access_key_id=_known["SPACES_ACCESS_KEY"],
        aws_secret_access_key=_known["SPACES_SECRET_KEY"],
        region_name="us-east-1",
        verify="/etc/ssl/certs/ca-certificates.crt",
        config=Config(s3={"addressing_style": "path"}),
    )
