# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The way from a person to the service: modules, playbooks, verbs, and what the status says afterwards."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.cora.backup.plugins.module_utils.offsite_settings import OffsiteSettings
from ansible_collections.cora.backup.plugins.module_utils.status import Limits, status
from ansible_collections.cora.backup.plugins.module_utils.status_summary import status_summary
from offsite.lab import write_env_file
from support.engine import backup
from support.modules import run_module

ROOT = Path(__file__).resolve().parents[2]
Run = Callable[..., dict[str, Any]]


@pytest.fixture
def env_file(settings: OffsiteSettings, tmp_path: Path) -> Path:
    return write_env_file(tmp_path / "backup.env", settings)


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], env_file: Path, settings: OffsiteSettings, vault: Path) -> Run:
    """A module, told where the service is."""

    def call(name: str, **options: Any) -> dict[str, Any]:
        given = {"env_file": env_file, "ca_bundle": settings.ca_bundle, "vault": vault, **options}
        return run_module(capsys, name, **given)

    return call


def cora(*words: str, env_file: Path, settings: OffsiteSettings, vault: Path) -> subprocess.CompletedProcess[str]:
    """The command, as a person types it."""
    own = ["-e", f"cora_offsite_env_file={env_file}", "-e", f"cora_offsite_ca_bundle={settings.ca_bundle}"]
    environment = {**os.environ, "CORA_TEST_PYTHON_HERE": sys.executable, "XDG_CACHE_HOME": str(vault.parent / "cache")}
    return subprocess.run(
        [ROOT / "tests/support/cora_here", *words, "--vault", str(vault), *own],
        capture_output=True, text=True, check=False, env=environment,
    )  # fmt: skip


def test_modules_check_run_check_run(run: Run, project: Path, vault: Path, settings: OffsiteSettings) -> None:
    made = backup(project, vault)
    assert run("spaces_setup", check=True)["changed"] is False
    assert run("spaces_setup")["switched_on"] == ["versioning", "lifecycle"]
    assert run("spaces_setup")["changed"] is False
    checked = run("spaces_upload", check=True)
    assert (checked["changed"], checked["uploaded"]) == (True, [made.id])
    assert run("spaces_info")["backups"] == []
    done = run("spaces_upload")
    assert done["uploaded"] == [made.id] and made.id in "".join(done["summary"])
    assert run("spaces_upload", check=True)["changed"] is False
    again = run("spaces_upload")
    assert (again["changed"], again["bytes_sent"]) == (False, 0)
    assert [row["id"] for row in run("spaces_info")["backups"]] == [made.id]


def test_no_secret_in_any_result(run: Run, project: Path, vault: Path, settings: OffsiteSettings) -> None:
    backup(project, vault)
    results = [run("spaces_setup"), run("spaces_upload"), run("spaces_info"), run("spaces_upload", prefix="//")]
    assert settings.credentials.secret_key not in json.dumps(results)
    assert results[-1]["error"] == "SettingsError"


def test_a_failed_upload_fails_the_module_and_is_in_the_status(
    run: Run, project: Path, vault: Path, settings: OffsiteSettings, env_file: Path
) -> None:
    made = backup(project, vault)
    assert status(str(vault))["offsite"] is None
    env_file.write_text(env_file.read_text().replace(settings.credentials.access_key, "NOBODY"))
    failed = run("spaces_upload")
    assert failed["failed"] and "SPACES_ACCESS_KEY" in failed["msg"] and failed["error"] == "OffsiteCredentialsError"
    found = status(str(vault), limits=Limits(backup_hours=0))
    assert found["offsite"]["missing"] == [made.id]
    texts = [problem["text"] for problem in found["problems"]]
    assert any("last copy offsite failed" in text and "SPACES_ACCESS_KEY" in text for text in texts)
    assert any("not offsite" in text for text in texts)
    assert settings.credentials.secret_key not in json.dumps(found)
    env_file.write_text(env_file.read_text().replace("NOBODY", settings.credentials.access_key))
    assert run("spaces_upload")["uploaded"] == [made.id]
    well = status(str(vault), limits=Limits(backup_hours=0))
    assert not any("offsite" in problem["text"] for problem in well["problems"])
    assert (well["offsite"]["newest"], well["offsite"]["missing"]) == (made.id, [])
    assert any(line.startswith("offsite     1 backup at") for line in status_summary(well))


@pytest.mark.slow
def test_the_command(settings: OffsiteSettings, env_file: Path, project: Path, vault: Path) -> None:
    made = backup(project, vault)
    place = {"env_file": env_file, "settings": settings, "vault": vault}
    done = cora("offsite", "setup", **place)  # type: ignore[arg-type]
    assert done.returncode == 0, done.stderr
    assert "What somebody could do who steals this key:" in done.stdout and "(switched on now)" in done.stdout
    done = cora("offsite", "sync", "--check", **place)  # type: ignore[arg-type]
    assert "Would copy 1 backup" in done.stdout, done.stderr
    done = cora("offsite", "sync", **place)  # type: ignore[arg-type]
    assert done.returncode == 0 and f"copied   {made.id}" in done.stdout, done.stderr
    done = cora("offsite", "sync", "--json", **place)  # type: ignore[arg-type]
    assert json.loads(done.stdout)["changed"] is False
    done = cora("offsite", "list", "--json", **place)  # type: ignore[arg-type]
    assert [row["id"] for row in json.loads(done.stdout)] == [made.id]
    done = cora("offsite", "list", **place)  # type: ignore[arg-type]
    assert made.id in done.stdout and "1 backup at" in done.stdout
    env_file.write_text(env_file.read_text().replace(settings.credentials.access_key, "NOBODY"))
    for words in (("offsite", "sync"), ("offsite", "list"), ("offsite", "setup")):
        done = cora(*words, **place)  # type: ignore[arg-type]
        assert done.returncode == 1 and "SPACES_ACCESS_KEY" in done.stderr, words
        assert settings.credentials.secret_key not in done.stdout + done.stderr
    # the backup itself never cares
    done = cora("backup", "now", "--project", str(project), "--json", **place)  # type: ignore[arg-type]
    assert done.returncode == 0 and json.loads(done.stdout)["id"] > made.id
