# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Waits until an upload that is not finished has so many bytes on the service: wait_for_parts.py BYTES."""

from __future__ import annotations

import sys
import time

from store import BUCKET, connect

client = connect()


def bytes_there() -> int:
    """Of all parts of all uploads that are not finished."""
    uploads = client.list_multipart_uploads(Bucket=BUCKET).get("Uploads", [])
    listings = [client.list_parts(Bucket=BUCKET, Key=one["Key"], UploadId=one["UploadId"]) for one in uploads]
    return sum(part["Size"] for listing in listings for part in listing.get("Parts", []))


deadline = time.monotonic() + 120
while bytes_there() < int(sys.argv[1]):
    if time.monotonic() > deadline:
        sys.exit(f"after two minutes {bytes_there()} bytes are there")
    time.sleep(0.1)
