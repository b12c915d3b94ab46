# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Settings that contradict each other, or mean nothing, are refused before anything is done."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.cora.backup.plugins.module_utils.backup import create_backup
from ansible_collections.cora.backup.plugins.module_utils.defaults import default_seal, default_vault, find_project
from ansible_collections.cora.backup.plugins.module_utils.errors import ProjectError, SettingsError
from ansible_collections.cora.backup.plugins.module_utils.settings import BackupSettings, RestoreRequest, Service


@pytest.mark.parametrize(
    "wrong",
    [
        {"project": "relative"},
        {"project": ""},
        {"vault": "relative/vault"},
        {"vault": "~/vault"},
        {"seal": "maybe"},
        {"seal": ""},
        {"log_cap_bytes": -1},
        {"large_file_bytes": -1},
        {"lock_wait_seconds": -0.1},
    ],
)
def test_backup_settings_are_checked(wrong: dict[str, Any]) -> None:
    with pytest.raises(SettingsError):
        BackupSettings(**{"project": "/p", "vault": "/v", **wrong})


@pytest.mark.parametrize(
    "wrong",
    [
        {"scenario": "everything"},
        {"scenario": ""},
        {"scenario": "files"},
        {"scenario": "files", "files": ()},
        {"files": ("a",)},
        {"scenario": "full", "files": ("a",)},
        {"scenario": "critical", "files": ("a",)},
        {"project": "relative"},
        {"vault": "relative"},
        {"lock_wait_seconds": -1},
        {"health_timeout_seconds": -1},
    ],
)
def test_restore_requests_are_checked(wrong: dict[str, Any]) -> None:
    with pytest.raises(SettingsError):
        RestoreRequest(**{"vault": "/v", "id_text": "latest", **wrong})


@pytest.mark.parametrize(
    "wrong",
    [
        {"kind": "docker", "name": "x"},
        {"kind": "systemd"},
        {"kind": "pm2", "name": ""},
        {"kind": "command", "stop": ("true",)},
        {"kind": "command", "start": ("true",)},
        {"kind": "command", "stop": (), "start": ("true",)},
    ],
)
def test_services_are_checked(wrong: dict[str, Any]) -> None:
    with pytest.raises(SettingsError):
        Service(**wrong)


def test_settings_cannot_be_changed_afterwards() -> None:
    with pytest.raises(AttributeError):
        BackupSettings(project="/p", vault="/v").seal = "best_effort"  # type: ignore[misc]


@pytest.mark.parametrize("key", ["exclude", "critical", "logs"])
def test_check_run_refuses_a_pattern_that_the_run_would_refuse(key: str, project: Path, vault: Path) -> None:
    wrong: dict[str, Any] = {key: ("/",)}
    settings = BackupSettings(project=str(project), vault=str(vault), **wrong)
    with pytest.raises(SettingsError, match="pattern"):
        create_backup(settings, check=True)
    with pytest.raises(SettingsError, match="pattern"):
        create_backup(settings)
    assert not vault.exists(), "nothing was begun"


def test_check_run_makes_nothing(project: Path, vault: Path) -> None:
    result = create_backup(BackupSettings(project=str(project), vault=str(vault)), check=True)
    assert result["changed"] is True
    assert not vault.exists()


def test_progress_file_that_cannot_be_written_is_a_wrong_setting(project: Path, vault: Path, tmp_path: Path) -> None:
    settings = BackupSettings(project=str(project), vault=str(vault), progress_file=str(tmp_path / "missing" / "p"))
    with pytest.raises(SettingsError, match="progress"):
        create_backup(settings)
    assert not [path for path in vault.iterdir() if path.name != ".cora"]
    assert os.listdir(vault / ".cora" / "staging") == []


# --- what a person gets who names nothing


def test_project_is_the_git_top_around_the_directory(tmp_path: Path) -> None:
    (tmp_path / "repo" / ".git").mkdir(parents=True)
    (tmp_path / "repo" / "a" / "b").mkdir(parents=True)
    (tmp_path / "link").symlink_to("repo/a")
    expected = os.path.realpath(tmp_path / "repo")
    for start in ("repo", "repo/a/b", "link"):
        assert find_project(str(tmp_path / start)) == expected
    (tmp_path / "repo" / "a" / ".git").write_text("gitdir: elsewhere")
    assert find_project(str(tmp_path / "repo" / "a" / "b")) == os.path.join(expected, "a")


def test_a_checkout_of_cora_in_a_project_is_not_the_project(tmp_path: Path) -> None:
    checkout = tmp_path / "tools" / "cora"
    (checkout / ".git").mkdir(parents=True)
    (checkout / "galaxy.yml").write_text("---\nnamespace: cora\nname: backup\n")
    (checkout / "docs").mkdir()
    assert find_project(str(checkout / "docs")) == os.path.realpath(checkout)
    (tmp_path / ".git").mkdir()
    assert find_project(str(checkout / "docs")) == os.path.realpath(tmp_path)
    (checkout / "galaxy.yml").write_text("---\nnamespace: other\nname: backup\n")
    assert find_project(str(checkout / "docs")) == os.path.realpath(checkout)


def test_no_project_is_guessed() -> None:
    with pytest.raises(ProjectError, match="--project"):
        find_project("/proc")


def test_default_vault_of_root_and_of_others(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert (default_vault(), default_seal()) == ("/var/backups/cora", "required")
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    assert (default_vault(), default_seal()) == (str(tmp_path / "cora" / "vault"), "best_effort")
    monkeypatch.setenv("XDG_STATE_HOME", "relative, so it does not count")
    monkeypatch.setenv("HOME", "/home/somebody")
    assert default_vault() == "/home/somebody/.local/state/cora/vault"
