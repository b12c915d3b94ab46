# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What tests of the copy elsewhere need: a real S3 service, a bucket of the test's own, a vault with backups."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.cora.backup.plugins.module_utils.offsite_settings import Credentials, OffsiteSettings
from ansible_collections.cora.backup.plugins.module_utils.s3_client import S3, connect
from support.rgw import OWNER, Keys, Rgw, new_directory
from support.tools import need_root, remove_sealed


@pytest.fixture(scope="session")
def rgw() -> Iterator[Rgw]:
    """The service."""
    directory = new_directory()
    service = Rgw(directory)
    try:
        yield service.start()
    finally:
        service.stop()
        shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture(scope="session")
def owner(rgw: Rgw) -> Keys:
    """Whose buckets they are."""
    return rgw.make_user(OWNER)


@pytest.fixture
def settings(rgw: Rgw, owner: Keys) -> OffsiteSettings:
    """Of a new bucket, over TLS."""
    made = OffsiteSettings(
        endpoint=rgw.endpoint_tls,
        region="us-east-1",
        bucket=f"cora-{uuid.uuid4().hex[:12]}",
        credentials=Credentials(owner.access_key, owner.secret_key),
        ca_bundle=str(rgw.ca_bundle),
    )
    connect(made).client.create_bucket(Bucket=made.bucket)
    return made


@pytest.fixture
def s3(settings: OffsiteSettings) -> S3:
    """The new bucket, reached as the engine reaches it."""
    return connect(settings)


@pytest.fixture
def client(s3: S3) -> Any:
    """boto3's own client, for looking at what the engine did."""
    return s3.client


@pytest.fixture
def vault(tmp_path: Path) -> Iterator[Path]:
    """Where a vault may be made."""
    need_root()
    path = tmp_path / "vault"
    yield path
    remove_sealed(path)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A small project."""
    path = tmp_path / "project"
    (path / "src").mkdir(parents=True)
    (path / "README.md").write_text("# readme\n")
    (path / "AI_WORK_LOG.md").write_text("done so far\n")
    (path / "src" / "main.py").write_text("print('hello')\n")
    (path / "empty").mkdir()
    return path
