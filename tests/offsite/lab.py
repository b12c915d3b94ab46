# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Helpers of the offsite tests: projects of some size, settings that go through a relay, downloads by rclone."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from ansible_collections.cora.backup.plugins.module_utils.offsite_settings import OffsiteSettings
from support.tools import tool

MIB = 1024 * 1024
_PROCESS = Path(__file__).parent / "sync_process.py"


def make_large_project(top: Path, *, size_bytes: int = 48 * MIB, files: int = 6) -> Path:
    """A project whose archive is about so large: it holds what cannot be compressed."""
    top.mkdir(parents=True)
    for number in range(files):
        (top / f"photos-{number}.bin").write_bytes(os.urandom(size_bytes // files))
    (top / "README.md").write_text("# readme\n")
    return top


def through(settings: OffsiteSettings, port: int) -> OffsiteSettings:
    """The same service, at the port of a relay."""
    scheme = urlsplit(settings.endpoint).scheme
    return dataclasses.replace(settings, endpoint=f"{scheme}://127.0.0.1:{port}")


def port_of(settings: OffsiteSettings) -> int:
    """Where the service listens."""
    port = urlsplit(settings.endpoint).port
    assert port
    return port


def write_env_file(path: Path, settings: OffsiteSettings) -> Path:
    """The environment file of these settings."""
    path.write_text(
        f"SPACES_ACCESS_KEY={settings.credentials.access_key}\n"
        f"SPACES_SECRET_KEY={settings.credentials.secret_key}\n"
        f"SPACES_ENDPOINT={settings.endpoint}\n"
        f"BACKUP_BUCKET={settings.bucket}\n"
    )
    path.chmod(0o600)
    return path


def start_sync(
    settings: OffsiteSettings, vault: Path, env_file: Path, *, clock_hours: int = 0, **options: Any
) -> subprocess.Popen[bytes]:
    """A process that copies a vault.

    :param clock_hours: by how much its clock is wrong
    """
    write_env_file(env_file, settings)
    given = {"ca_bundle": settings.ca_bundle, "prefix": settings.prefix, **options}
    clock = ["faketime", "-f", f"{clock_hours:+}h"] if clock_hours else []
    return subprocess.Popen(
        [*clock, sys.executable, _PROCESS, env_file, vault, json.dumps(given)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def rclone_config(path: Path, settings: OffsiteSettings) -> Path:
    """An rclone.conf with the remote ``test``."""
    path.write_text(
        "[test]\ntype = s3\nprovider = Ceph\nforce_path_style = true\n"
        f"access_key_id = {settings.credentials.access_key}\n"
        f"secret_access_key = {settings.credentials.secret_key}\n"
        f"endpoint = {settings.endpoint}\n"
    )
    path.chmod(0o600)
    return path


def rclone_download(settings: OffsiteSettings, backup_id: str, target: Path) -> None:
    """A backup as rclone brings it."""
    config = rclone_config(target.parent / f"rclone-{target.name}.conf", settings)
    day = f"{backup_id[:4]}-{backup_id[4:6]}-{backup_id[6:8]}"
    source = f"test:{settings.bucket}/{settings.prefix}/{day}/{backup_id}"
    rclone(config, settings, "copy", source, target)


def rclone(config: Path, settings: OffsiteSettings, *words: str | Path) -> bytes:
    """What rclone answers; the variable, if set, makes Debian's version fail."""
    return tool(
        "env", "-u", "AWS_CA_BUNDLE", "rclone", "--config", config, "--ca-cert", str(settings.ca_bundle), *words
    )


def check_sums(directory: Path) -> None:
    """Every file is what SHA256SUMS.txt says."""
    tool("sha256sum", "--check", "--strict", "--quiet", "SHA256SUMS.txt", cwd=directory)
