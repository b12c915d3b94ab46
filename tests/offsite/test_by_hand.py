# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""docs/offsite-restore.md, word for word: its commands are run against a real service, with other people's programs."""

from __future__ import annotations

import dataclasses
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.cora.backup.plugins.module_utils import offsite_crypt
from ansible_collections.cora.backup.plugins.module_utils.offsite_layout import date_of, key_of
from ansible_collections.cora.backup.plugins.module_utils.offsite_settings import OffsiteSettings
from ansible_collections.cora.backup.plugins.module_utils.offsite_upload import upload_backup
from ansible_collections.cora.backup.plugins.module_utils.offsite_verify import VerifyRequest, verify_offsite
from ansible_collections.cora.backup.plugins.module_utils.s3_client import S3, connect
from offsite.lab import write_env_file
from support.engine import Made, backup
from support.tools import tool

PAGE = Path(__file__).resolve().parents[2] / "docs" / "offsite-restore.md"
_BLOCK = re.compile(r"^```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(heading: str) -> str:
    """All commands below a heading, up to the next one."""
    parts = re.split(r"^#{2,3} ", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE)
    text = next(part for part in parts if part.startswith(heading + "\n"))
    found = "\n".join(_BLOCK.findall(text))
    assert found, heading
    return found


@dataclasses.dataclass
class Person:
    """Somebody with the page, and a shell."""

    env_file: Path
    settings: OffsiteSettings
    rescue: Path

    def types(self, script: str, made: Made) -> str:
        """What the commands say; values that a person would fill in are filled in."""
        for shown, real in (
            ("/etc/cora/backup.env", str(self.env_file)),
            ("20261124-040253-3d54373", made.id),
            ("2026-11-24", date_of(made.id)),
            ("/srv/rescue", str(self.rescue)),
        ):
            script = script.replace(shown, real)
        bundle = str(self.settings.ca_bundle)
        trust = {"AWS_CA_BUNDLE": bundle, "CURL_CA_BUNDLE": bundle, "RCLONE_CA_CERT": bundle}
        others = {name: value for name, value in os.environ.items() if name != "AWS_CA_BUNDLE"}
        if "rclone" in script:
            del trust["AWS_CA_BUNDLE"]  # Debian's rclone fails where it is set
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", script],
            capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL, env={**others, **trust},
        )  # fmt: skip
        assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
        return done.stdout


@pytest.fixture
def made(project: Path, vault: Path) -> Made:
    (project / "with space").mkdir()
    (project / "with space" / "WORK_LOG of mine.md").write_text("critical\n")
    return backup(project, vault)


@pytest.fixture
def person(settings: OffsiteSettings, tmp_path: Path) -> Person:
    return Person(write_env_file(tmp_path / "backup.env", settings), settings, tmp_path / "rescue")


@pytest.mark.parametrize("way", ["With rclone", "With aws"])
def test_a_whole_backup(s3: S3, made: Made, vault: Path, person: Person, way: str) -> None:
    upload_backup(s3, str(vault), made.id)
    said = person.types(blocks("By hand") + blocks(way), made)
    assert made.id in said and said.rstrip().endswith("intact")
    tool("diff", "-r", made.path, person.rescue / made.id)


def test_one_file_by_curl(s3: S3, made: Made, vault: Path, person: Person) -> None:
    upload_backup(s3, str(vault), made.id)
    said = person.types(blocks("By hand") + blocks("With curl, one file out of the archive"), made)
    assert said == "intact\nprint('hello')\n"


def test_an_encrypted_one(settings: OffsiteSettings, made: Made, vault: Path, person: Person, tmp_path: Path) -> None:
    key = tmp_path / "identity.txt"
    encrypting = dataclasses.replace(settings, encrypt_to=(offsite_crypt.make_key(str(key)),))
    upload_backup(connect(encrypting), str(vault), made.id)
    secret = key.read_text().split()[-1]
    (person.rescue / made.id).mkdir(parents=True)
    (person.rescue / made.id / "key.txt").write_text(secret + "\n")
    download = re.sub(r"^\(cd .*$", "", blocks("With rclone"), flags=re.MULTILINE)
    said = person.types(blocks("By hand") + download + blocks("An encrypted one"), made)
    assert said.rstrip().endswith("intact")
    tool("diff", "-r", "--exclude=key.txt", made.path, person.rescue / made.id)


def test_what_was_deleted(
    s3: S3, client: Any, settings: OffsiteSettings, made: Made, vault: Path, person: Person
) -> None:
    client.put_bucket_versioning(Bucket=settings.bucket, VersioningConfiguration={"Status": "Enabled"})
    upload_backup(s3, str(vault), made.id)
    for path in ("SHA256SUMS.txt", "critical/AI_WORK_LOG.md", "critical/with space/WORK_LOG of mine.md"):
        client.delete_object(Bucket=settings.bucket, Key=key_of(settings.prefix, made.id, path))
    person.types(blocks("Bring back what was deleted"), made)
    assert verify_offsite(VerifyRequest(str(vault), settings, made.id, deep=True))["ok"]
