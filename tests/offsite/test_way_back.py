# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The way back as a person walks it: verbs and modules, on a machine that has nothing but the keys."""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.cora.backup.plugins.module_utils.offsite_layout import key_of
from ansible_collections.cora.backup.plugins.module_utils.offsite_settings import OffsiteSettings
from ansible_collections.cora.backup.plugins.module_utils.offsite_upload import upload_backup
from ansible_collections.cora.backup.plugins.module_utils.s3_client import S3
from offsite.lab import write_env_file
from support.engine import Made, backup
from support.modules import run_module
from support.tools import remove_sealed, tool

ROOT = Path(__file__).resolve().parents[2]
Cora = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def there(s3: S3, project: Path, vault: Path) -> Made:
    """A backup that is only offsite by the time a test begins."""
    made = backup(project, vault)
    upload_backup(s3, str(vault), made.id)
    tool("cp", "-a", project, project.with_name("original"))
    return made


@pytest.fixture
def new_vault(tmp_path: Path) -> Any:
    path = tmp_path / "new-machine" / "vault"
    yield path
    remove_sealed(path)


@pytest.fixture
def env_file(settings: OffsiteSettings, tmp_path: Path) -> Path:
    return write_env_file(tmp_path / "backup.env", settings)


@pytest.fixture
def cora(env_file: Path, settings: OffsiteSettings, new_vault: Path, tmp_path: Path) -> Cora:
    """The command, as a person types it, with settings as they would stand in a file."""
    own = ["-e", f"cora_offsite_env_file={env_file}", "-e", f"cora_offsite_ca_bundle={settings.ca_bundle}"]
    environment = {**os.environ, "CORA_TEST_PYTHON_HERE": sys.executable, "XDG_CACHE_HOME": str(tmp_path / "cache")}

    def call(*words: str | Path) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [ROOT / "tests/support/cora_here", *words, "--vault", new_vault, *own],
            capture_output=True, text=True, check=False, env=environment, cwd=tmp_path,
        )  # fmt: skip
        assert settings.credentials.secret_key not in done.stdout + done.stderr
        return done

    return call


def test_the_bad_day_by_command(cora: Cora, there: Made, project: Path, new_vault: Path) -> None:
    shutil.rmtree(project)
    plan = cora("restore", "latest")
    assert plan.returncode == 0, plan.stderr
    assert f"cora offsite fetch {there.id}" in plan.stdout
    assert not project.exists()
    done = cora("restore", "latest", "--full", "--yes", "--json")
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert (document["id"], document["changed"]) == (there.id, True)
    assert document["bytes_fetched"] >= there.archive.stat().st_size
    tool("diff", "-r", project.with_name("original"), project)
    assert "i" in tool("lsattr", "-d", new_vault / there.id).decode().split()[0]
    assert cora("undo", "--yes").returncode == 0
    assert not project.exists()


def test_one_file_by_command(cora: Cora, there: Made, project: Path, new_vault: Path) -> None:
    (project / "src" / "main.py").write_text("overwritten\n")
    done = cora("restore", there.id[:17], "--file", "src/main.py", "--project", project)
    assert done.returncode == 0, done.stderr
    assert "it is taken from" in done.stderr
    tool("diff", "-r", project.with_name("original"), project)
    assert not (new_vault / there.id).exists()


def test_fetch_verify_and_prune_by_command(
    cora: Cora, there: Made, new_vault: Path, client: Any, settings: OffsiteSettings
) -> None:
    assert "Would fetch" in cora("offsite", "fetch", "latest", "--check").stdout
    assert not (new_vault / there.id).exists()
    done = cora("offsite", "fetch", "latest")
    assert done.returncode == 0 and f"Fetched backup {there.id}" in done.stdout, done.stderr
    assert "nothing was fetched" in cora("offsite", "fetch", there.id).stdout
    assert "is all there" in cora("offsite", "verify").stdout
    assert "is intact" in cora("offsite", "verify", there.id, "--deep").stdout
    assert f"keep     {there.id}" in cora("offsite", "prune", "--dry-run").stdout
    client.delete_object(Bucket=settings.bucket, Key=key_of(settings.prefix, there.id, "MANIFEST.txt"))
    damaged = cora("offsite", "verify", "--json")
    assert damaged.returncode == 1
    assert json.loads(damaged.stdout)["damaged"][0]["artifact"] == "MANIFEST.txt"


def test_what_is_nowhere_names_both_places(cora: Cora, there: Made) -> None:
    done = cora("restore", "20200101-000000-nogit")
    assert done.returncode == 1
    assert "There is no backup in" in done.stderr and "Nor is it offsite" in done.stderr


def test_without_keys_a_restore_speaks_of_the_vault_alone(
    new_vault: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("SPACES_ACCESS_KEY", "SPACES_SECRET_KEY", "SPACES_ENDPOINT", "BACKUP_BUCKET"):
        monkeypatch.delenv(name, raising=False)
    environment = {**os.environ, "CORA_TEST_PYTHON_HERE": sys.executable, "XDG_CACHE_HOME": str(tmp_path / "cache")}
    done = subprocess.run(
        [ROOT / "tests/support/cora_here", "restore", "latest", "--vault", new_vault, "-e",
         f"cora_offsite_env_file={tmp_path}/none"],
        capture_output=True, text=True, check=False, env=environment,
    )  # fmt: skip
    assert done.returncode == 1
    assert "There is no backup in" in done.stderr and "offsite" not in done.stderr


def test_a_key_and_its_sheet(cora: Cora, tmp_path: Path) -> None:
    path = tmp_path / "keys" / "identity.txt"
    done = cora("offsite", "key", path)
    assert done.returncode == 0, done.stderr
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    secret = path.read_text().split()[-1]
    assert secret.startswith("AGE-SECRET-KEY-1") and done.stdout.count(secret) == 1
    assert tool("age-keygen", "-y", path).decode().strip() in done.stdout
    again = cora("offsite", "key", path)
    assert again.returncode == 2 and "never overwritten" in again.stderr
    other = cora("offsite", "key", tmp_path / "other.txt", "--json")
    assert "AGE-SECRET-KEY" not in other.stdout


def test_modules_check_run_check_run(
    capsys: pytest.CaptureFixture[str], env_file: Path, settings: OffsiteSettings, there: Made, new_vault: Path
) -> None:
    def run(name: str, **options: Any) -> dict[str, Any]:
        given = {"env_file": env_file, "ca_bundle": settings.ca_bundle, "vault": new_vault, **options}
        return run_module(capsys, name, **given)

    assert [run("spaces_download", check=check)["changed"] for check in (True, False, True, False)] == [
        True, True, False, False,
    ]  # fmt: skip
    assert run("spaces_verify", deep=True)["ok"]
    assert run("spaces_prune", check=True)["removed"] == []
    assert run("spaces_prune")["changed"] is False
    assert run("spaces_download", id="nothing")["error"] == "NotFoundError"
