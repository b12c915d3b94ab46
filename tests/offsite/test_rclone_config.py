# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The remote in rclone's configuration, read by the real rclone, and used on the real service."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest
from ansible_collections.cora.backup.plugins.module_utils.backup import create_backup
from ansible_collections.cora.backup.plugins.module_utils.offsite_settings import OffsiteSettings
from ansible_collections.cora.backup.plugins.module_utils.offsite_upload import upload_backup
from ansible_collections.cora.backup.plugins.module_utils.s3_client import S3
from ansible_collections.cora.backup.plugins.module_utils.settings import BackupSettings
from support.modules import run_module
from support.tools import run, tool

SECRET = "s3cr3t+/sl4sh="
OTHERS = "# mine\n[photos]\ntype = local\n\n[old]\ntype = memory\n"


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    # rclone 1.60 does not start with it
    monkeypatch.delenv("AWS_CA_BUNDLE", raising=False)


@pytest.fixture
def env_file(tmp_path: Path) -> Path:
    path = tmp_path / "backup.env"
    path.write_text(
        f"SPACES_ACCESS_KEY=AKEY\nSPACES_SECRET_KEY='{SECRET}'\nSPACES_ENDPOINT=nyc3.digitaloceanspaces.com\n"
        "BACKUP_BUCKET=cora-backups\n"
    )
    path.chmod(0o600)
    return path


@pytest.fixture
def config(tmp_path: Path) -> Path:
    return tmp_path / "config" / "rclone.conf"


def shown(config: Path, name: str = "spaces") -> dict[str, str]:
    lines = tool("rclone", "--config", config, "config", "show", name).decode().splitlines()
    return dict(line.split(" = ", 1) for line in lines if " = " in line)


def test_rclone_reads_what_was_written(capsys: pytest.CaptureFixture[str], env_file: Path, config: Path) -> None:
    result = run_module(capsys, "rclone_remote", path=config, env_file=env_file)
    assert (result["changed"], result["bucket"]) == (True, "spaces:cora-backups")
    assert SECRET not in str(result)
    found = shown(config)
    assert found["provider"] == "DigitalOcean"
    assert found["secret_access_key"] == SECRET
    assert found["region"] == "nyc3"
    assert stat.S_IMODE(config.stat().st_mode) == 0o600
    assert os.listdir(config.parent) == ["rclone.conf"]
    assert run_module(capsys, "rclone_remote", path=config, env_file=env_file)["changed"] is False


def test_other_remotes_stay_as_they_are(capsys: pytest.CaptureFixture[str], env_file: Path, config: Path) -> None:
    config.parent.mkdir()
    config.write_text(OTHERS)
    run_module(capsys, "rclone_remote", path=config, env_file=env_file)
    assert sorted(tool("rclone", "--config", config, "listremotes").split()) == [b"old:", b"photos:", b"spaces:"]
    env_file.write_text(env_file.read_text().replace("AKEY", "BKEY"))
    assert run_module(capsys, "rclone_remote", path=config, env_file=env_file)["changed"] is True
    assert shown(config)["access_key_id"] == "BKEY"
    assert run_module(capsys, "rclone_remote", path=config, state="absent")["changed"] is True
    assert config.read_text() == OTHERS
    assert run_module(capsys, "rclone_remote", path=config, state="absent")["changed"] is False


def test_check_mode_and_a_file_that_others_could_read(
    capsys: pytest.CaptureFixture[str], env_file: Path, config: Path
) -> None:
    assert run_module(capsys, "rclone_remote", path=config, env_file=env_file, check=True)["changed"] is True
    assert not config.exists()
    run_module(capsys, "rclone_remote", path=config, env_file=env_file)
    config.chmod(0o644)
    assert run_module(capsys, "rclone_remote", path=config, env_file=env_file)["changed"] is True
    assert stat.S_IMODE(config.stat().st_mode) == 0o600


def test_what_is_somebody_elses_is_refused(capsys: pytest.CaptureFixture[str], env_file: Path, config: Path) -> None:
    config.parent.mkdir()
    theirs = "[spaces]\ntype = s3\nsecret_access_key = theirs\n"
    config.write_text(theirs)
    refused = run_module(capsys, "rclone_remote", path=config, env_file=env_file)
    assert refused["failed"]
    assert "cora did not write" in refused["msg"]
    assert run_module(capsys, "rclone_remote", path=config, state="absent")["changed"] is False
    assert config.read_text() == theirs
    config.write_text("# Encrypted rclone configuration File\n\nRCLONE_ENCRYPT_V0:\nAAAA\n")
    assert "is encrypted" in run_module(capsys, "rclone_remote", path=config, env_file=env_file)["msg"]


def test_a_key_with_characters_that_no_key_has_is_refused(
    capsys: pytest.CaptureFixture[str], env_file: Path, config: Path
) -> None:
    env_file.write_text(env_file.read_text().replace(SECRET, "a`b%(c)"))
    refused = run_module(capsys, "rclone_remote", path=config, env_file=env_file)
    assert "secret_access_key cannot be written" in refused["msg"]
    assert "a`b" not in str(refused)
    assert not config.exists()


@pytest.mark.slow
def test_rclone_reads_and_checks_what_cora_uploaded(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, vault: Path, project: Path, s3: S3, settings: OffsiteSettings
) -> None:
    (project / "naïve \x07 100%.md").write_text("a name that a key cannot hold")
    (project / "large.bin").write_bytes(os.urandom(20_000_000))
    made = create_backup(BackupSettings(str(project), str(vault)))["id"]
    upload_backup(s3, str(vault), made)
    env_file, config = tmp_path / "backup.env", tmp_path / "rclone.conf"
    env_file.write_text(
        f"SPACES_ACCESS_KEY={settings.credentials.access_key}\nSPACES_SECRET_KEY={settings.credentials.secret_key}\n"
        f"SPACES_ENDPOINT={settings.endpoint}\nBACKUP_BUCKET={settings.bucket}\n"
    )
    env_file.chmod(0o600)
    written = run_module(capsys, "rclone_remote", path=config, env_file=env_file)
    there = f"{written['bucket']}/prod/{made[:4]}-{made[4:6]}-{made[6:8]}/{made}"
    rclone = ("rclone", "--config", config, "--ca-cert", str(settings.ca_bundle))
    listed = tool(*rclone, "lsf", "-R", "--files-only", there).decode().split("\n")
    assert {"SHA256SUMS.txt", "cora-full.tar.gz", "critical/AI_WORK_LOG.md", "critical/naïve %07 100%25.md"} <= set(
        listed
    )
    compared = run([*rclone, "check", "--download", "--one-way", "--exclude", "/critical/na*", vault / made, there])
    assert compared.returncode == 0, compared.stderr
    sums = tool(*rclone, "cat", f"{there}/SHA256SUMS.txt")
    assert sums == (vault / made / "SHA256SUMS.txt").read_bytes()
