# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Backups that rclone carries: into a directory, which stands for any service it knows, and into the real S3."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from ansible_collections.cora.backup.plugins.module_utils import offsite_rclone
from ansible_collections.cora.backup.plugins.module_utils.errors import (
    IntegrityError,
    OffsiteError,
    OffsiteMissingError,
    SettingsError,
)
from ansible_collections.cora.backup.plugins.module_utils.offsite_fetch import FetchRequest, fetch_backup
from ansible_collections.cora.backup.plugins.module_utils.offsite_settings import OffsiteSettings
from ansible_collections.cora.backup.plugins.module_utils.offsite_upload import upload_backup
from ansible_collections.cora.backup.plugins.module_utils.rclone_command import Rclone
from ansible_collections.cora.backup.plugins.module_utils.rclone_config import write_remote
from ansible_collections.cora.backup.plugins.module_utils.s3_client import S3
from ansible_collections.cora.backup.plugins.module_utils.vault import Vault
from support.engine import backup
from support.tools import remove_sealed, tool

REPO = Path(__file__).resolve().parents[2]
MIB = 1024 * 1024
ODD = "odd \x07 100% ünï WORK_LOG.md"


@dataclass
class Place:
    """A directory that rclone is told to use, and what stands there of one backup."""

    rclone: Rclone
    directory: Path

    def of(self, backup_id: str) -> Path:
        return self.directory / f"prod/{backup_id[:4]}-{backup_id[4:6]}-{backup_id[6:8]}/{backup_id}"


@pytest.fixture(autouse=True)
def configuration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "rclone.conf"
    path.write_text(f"[there]\ntype = alias\nremote = {tmp_path}/there\n")
    monkeypatch.setenv("RCLONE_CONFIG", str(path))
    monkeypatch.delenv("AWS_CA_BUNDLE", raising=False)  # rclone 1.60 does not start with it
    return path


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(Rclone("there:backups", "prod"), tmp_path / "there/backups")


@pytest.fixture
def other(tmp_path: Path) -> Iterator[Path]:
    """The vault of another machine."""
    yield tmp_path / "other"
    remove_sealed(tmp_path / "other")


@pytest.fixture
def made(project: Path, vault: Path) -> str:
    """A backup with an odd name and a file that takes its time."""
    (project / ODD).write_text("kept")
    (project / "large.bin").write_bytes(random.Random(5).randbytes(20 * MIB))
    return backup(project, vault).id


def same(one: Path, two: Path) -> None:
    tool("diff", "-r", one, two)


def test_a_backup_goes_there_whole_its_marker_last_and_once(place: Place, vault: Path, made: str) -> None:
    first = offsite_rclone.sync(place.rclone, str(vault))
    assert (first["uploaded"], first["failures"]) == ([made], [])
    assert first["bytes_sent"] > 20 * MIB
    there = place.of(made)
    changed = {path: path.stat().st_ctime_ns for path in there.rglob("*") if path.is_file()}
    assert max(changed, key=lambda path: changed[path]).name == "SHA256SUMS.txt"
    assert (there / "critical/odd %07 100%25 ünï WORK_LOG.md").read_text() == "kept"
    assert not [path for path in there.rglob("*") if path.is_symlink()]
    again = offsite_rclone.sync(place.rclone, str(vault))
    assert (again["changed"], again["uploaded"], again["bytes_sent"]) == (False, [], 0)
    assert [name for name in os.listdir(vault / ".cora/offsite") if name.endswith(".rclone")] == []


def test_it_comes_back_sealed_and_the_same(place: Place, vault: Path, other: Path, made: str) -> None:
    offsite_rclone.sync(place.rclone, str(vault))
    (place.of(made) / "not-of-us").write_text("nobody named this")
    result = offsite_rclone.fetch(place.rclone, str(other), "latest")
    assert (result["id"], result["changed"], result["sealed"]) == (made, True, True)
    same(vault / made, other / made)
    tool("sha256sum", "--check", "--quiet", "SHA256SUMS.txt", cwd=other / made)
    assert b"i" in tool("lsattr", "-d", other / made).split()[0]
    assert offsite_rclone.fetch(place.rclone, str(other), made[:12])["changed"] is False
    assert os.listdir(other / ".cora/offsite/fetching") == []


def test_a_killed_upload_is_no_backup_and_goes_on(place: Place, vault: Path, made: str) -> None:
    code = (
        "from ansible_collections.cora.backup.plugins.module_utils import offsite_rclone, rclone_command; "
        f"offsite_rclone.sync(rclone_command.Rclone('there:backups', 'prod', 3_000_000), {str(vault)!r})"
    )
    environment = {**os.environ, "PYTHONPATH": str(REPO / "playbooks/collections")}
    process = subprocess.Popen([sys.executable, "-c", code], env=environment, start_new_session=True)
    archive = place.of(made) / "cora-full.tar.gz"
    deadline = time.monotonic() + 60
    while not (archive.exists() and archive.stat().st_size) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert process.poll() is None
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    os.kill(process.pid, signal.SIGKILL)
    for child in children:
        os.kill(int(child), signal.SIGKILL)
    process.wait()
    assert not (place.of(made) / "SHA256SUMS.txt").exists()
    with pytest.raises(OffsiteMissingError, match="no whole backup"):
        offsite_rclone.resolve(place.rclone, "latest")
    assert offsite_rclone.sync(place.rclone, str(vault))["uploaded"] == [made]
    same(vault / made / "cora-full.tar.gz", archive)


@pytest.mark.parametrize("deep", [False, True])
def test_what_was_spoiled_on_the_way_never_counts(place: Place, vault: Path, made: str, deep: bool) -> None:
    spoiled = place.of(made) / "MANIFEST.txt"
    spoiled.parent.mkdir(parents=True)
    good = vault / made / "MANIFEST.txt"
    spoiled.write_bytes(good.read_bytes()[:-1] + b"!")
    status = good.stat()
    os.utime(spoiled, ns=(status.st_atime_ns, status.st_mtime_ns))  # so rclone takes it for sent
    with pytest.raises(OffsiteError, match="is not what was sent"):
        offsite_rclone.sync(place.rclone, str(vault), deep=deep)
    assert not (place.of(made) / "SHA256SUMS.txt").exists()


def test_a_backup_that_is_damaged_here_is_not_sent_and_the_others_are(
    place: Place, vault: Path, project: Path, made: str
) -> None:
    second = backup(project, vault).id
    damaged = vault / made / "MANIFEST.txt"
    tool("chattr", "-i", damaged)
    damaged.write_bytes(b"?" + damaged.read_bytes()[1:])
    result = offsite_rclone.sync(place.rclone, str(vault))
    assert result["uploaded"] == [second]
    assert [one["id"] for one in result["failures"]] == [made]
    assert not place.of(made).exists()


def test_damage_over_there_is_found_before_anything_is_listed(
    place: Place, vault: Path, other: Path, made: str
) -> None:
    offsite_rclone.sync(place.rclone, str(vault))
    archive = place.of(made) / "cora-full.tar.gz"
    with open(archive, "r+b") as stream:
        stream.seek(10_000_000)
        stream.write(b"damage")
    with pytest.raises(IntegrityError, match=r"cora-full\.tar\.gz"):
        offsite_rclone.fetch(place.rclone, str(other), made)
    assert not (other / made).exists()


def test_names_that_lead_out_are_refused(place: Place, vault: Path, other: Path, made: str) -> None:
    offsite_rclone.sync(place.rclone, str(vault))
    sums = place.of(made) / "SHA256SUMS.txt"
    sums.write_bytes(b"0" * 64 + b"  ../../../../escaped\n" + sums.read_bytes())
    with pytest.raises(IntegrityError, match="outside of the backup"):
        offsite_rclone.fetch(place.rclone, str(other), made)


def test_a_remote_that_would_show_its_keys_is_refused() -> None:
    for remote in (":s3,secret_access_key=x:bucket", "there", "--config=x:", ":local:/tmp"):
        with pytest.raises(SettingsError):
            Rclone(remote, "prod")


@pytest.mark.slow
def test_with_s3_each_way_reads_what_the_other_wrote(
    configuration: Path, vault: Path, other: Path, made: str, project: Path, s3: S3, settings: OffsiteSettings
) -> None:
    write_remote(str(configuration), "spaces", settings)
    rclone = Rclone(f"spaces:{settings.bucket}", settings.prefix, ca_bundle=settings.ca_bundle)
    assert offsite_rclone.sync(rclone, str(vault), ids=[made])["uploaded"] == [made]
    fetch_backup(FetchRequest(str(other), settings, "latest"))
    same(vault / made, other / made)
    (project / "news.txt").write_text("more")
    second = backup(project, vault).id
    upload_backup(s3, str(vault), second)
    assert offsite_rclone.fetch(rclone, str(other), "latest")["id"] == second
    same(vault / second, other / second)
    listed = tool("rclone", "--ca-cert", str(settings.ca_bundle), "lsf", f"spaces:{settings.bucket}/prod")
    assert listed.decode() == f"{made[:4]}-{made[4:6]}-{made[6:8]}/\n"


def test_the_error_is_what_rclone_said_last(place: Place, vault: Path, made: str) -> None:
    place.directory.parent.mkdir()
    place.directory.write_text("a file where a directory has to be")
    with pytest.raises(OffsiteError, match=r"rclone could not copy to .*: .*not a directory"):
        offsite_rclone.upload(place.rclone, Vault(str(vault)), made)
