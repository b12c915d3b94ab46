# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The checkout as the collection cora.backup: its links, its build, and settings that are said in two places."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.cora.backup.plugins.module_utils import defaults, settings, version

ROOT = Path(__file__).resolve().parents[2]
LINKS = ROOT / "playbooks/collections/ansible_collections/cora/backup"
BIN = Path(sys.executable).parent


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The collection as ansible-galaxy builds and installs it; returns the directory of collections."""
    place = tmp_path_factory.mktemp("galaxy")
    galaxy("collection", "build", str(ROOT), "--output-path", str(place))
    (archive,) = place.glob("cora-backup-*.tar.gz")
    galaxy("collection", "install", str(archive), "--offline", "--collections-path", str(place / "collections"))
    return place / "collections"


def galaxy(*arguments: str) -> None:
    # Anywhere but in the checkout, whose ansible.cfg knows the collection already.
    subprocess.run([BIN / "ansible-galaxy", *arguments], cwd="/", check=True, stdout=subprocess.DEVNULL)


def names(directory: Path, pattern: str = "*.py") -> set[str]:
    return {path.name for path in directory.glob(pattern)}


def test_library_is_one_link_to_the_modules() -> None:
    assert os.readlink(ROOT / "library") == "plugins/modules"


def test_modules_are_real_files() -> None:
    modules = list((ROOT / "plugins/modules").glob("*.py"))
    assert modules
    assert not [path for path in modules if path.is_symlink()]


def test_links_of_the_collection_are_complete() -> None:
    expected = {name for name in ("galaxy.yml", "meta", "plugins", "roles") if (ROOT / name).exists()}
    assert names(LINKS, "*") == expected | {"playbooks"}, "run tools/link_collection.sh"
    assert not (LINKS / "playbooks").is_symlink(), "a link to all of playbooks/ would contain itself"
    for name in expected:
        assert os.readlink(LINKS / name) == f"../../../../../{name}"


def test_every_playbook_has_a_link() -> None:
    playbooks = names(ROOT / "playbooks", "*.yml")
    assert playbooks
    assert names(LINKS / "playbooks", "*") == playbooks, "run tools/link_collection.sh"
    for name in playbooks:
        assert os.readlink(LINKS / "playbooks" / name) == f"../../../../../{name}"
        assert re.fullmatch(r"[a-z][a-z0-9_]*\.yml", name), "a playbook's full name cannot hold a hyphen"


def test_installed_modules_are_real_files(installed: Path) -> None:
    collection = installed / "ansible_collections/cora/backup"
    modules = collection / "plugins/modules"
    assert names(modules) == names(ROOT / "plugins/modules")
    assert not [path for path in modules.iterdir() if path.is_symlink()]


def test_installed_collection_has_what_users_need_and_nothing_else(installed: Path) -> None:
    collection = installed / "ansible_collections/cora/backup"
    for name in ("README.md", "LICENSE", "requirements.txt", "docs", "meta/runtime.yml", "tools/cora_cli/__main__.py"):
        assert (collection / name).exists(), name
    for name in ("library", "playbooks/collections", "inventory", "molecule", "tests", "bench", "ansible.cfg"):
        assert not os.path.lexists(collection / name), name
    for script in ("tools/cora.sh", "tools/backup_cora.sh"):
        assert os.access(collection / script, os.X_OK), script
    assert not [path for path in collection.rglob("*") if path.is_symlink() or path.name == "__pycache__"]
    assert not [path for path in collection.iterdir() if path.name.startswith(".")]


def test_ansible_finds_the_installed_modules(installed: Path) -> None:
    listing = subprocess.run(
        [BIN / "ansible-doc", "--list", "--json", "--type", "module", "cora.backup"],
        cwd="/",
        env={**os.environ, "ANSIBLE_COLLECTIONS_PATH": str(installed)},
        check=True,
        stdout=subprocess.PIPE,
    )
    expected = {f"cora.backup.{Path(name).stem}" for name in names(ROOT / "plugins/modules")}
    assert set(json.loads(listing.stdout)) == expected


def test_every_module_is_in_the_action_group() -> None:
    groups = yaml.safe_load((ROOT / "meta/runtime.yml").read_text(encoding="utf-8"))["action_groups"]
    assert set(groups["all"]) == {Path(name).stem for name in names(ROOT / "plugins/modules")}


def test_every_module_has_its_action_plugin() -> None:
    modules = names(ROOT / "plugins/modules")
    assert names(ROOT / "plugins/action") == modules
    assert len({(ROOT / "plugins/action" / name).read_bytes() for name in modules}) == 1


def test_version_is_the_same_everywhere() -> None:
    assert yaml.safe_load((ROOT / "galaxy.yml").read_text(encoding="utf-8"))["version"] == version.VERSION


def test_requirements_are_pinned() -> None:
    for name in ("requirements.txt", "requirements-dev.txt"):
        for line in (ROOT / name).read_text(encoding="utf-8").splitlines():
            assert re.match(r"#|-r |[\w.-]+==[\w.]+(;|$)", line), f"{name}: {line}"


# --- the settings a person finds in inventory/group_vars/all.yml


def explained_settings() -> dict[str, Any]:
    """The commented-out defaults, the first of each name: what follows it are examples."""
    found: dict[str, Any] = {}
    text = (ROOT / "inventory/group_vars/all.yml").read_text(encoding="utf-8")
    for block in re.findall(r"^# cora_\w+:.*\n(?:#   .*\n)*", text, flags=re.MULTILINE):
        for name, value in yaml.safe_load(re.sub(r"^# ", "", block, flags=re.MULTILINE)).items():
            found.setdefault(name, value)
    return found


def test_every_setting_is_explained() -> None:
    used: set[str] = set()
    for playbook in (ROOT / "playbooks").glob("*.yml"):
        used.update(re.findall(r"\b(cora_\w+)", playbook.read_text(encoding="utf-8")))
    # What a run is asked to do, and what it answers, are not settings.
    assert set(explained_settings()) == used - {"cora_hosts", "cora_target", "cora_result", "cora_keep_program"}


def test_explained_defaults_are_the_true_ones() -> None:
    explained = explained_settings()
    request = settings.RestoreRequest(vault="/vault", id_text="latest")
    assert explained["cora_exclude"] == list(settings.DEFAULT_EXCLUDE)
    assert explained["cora_critical"] == list(settings.DEFAULT_CRITICAL)
    assert explained["cora_logs"] == list(settings.DEFAULT_LOGS)
    assert explained["cora_log_cap_bytes"] == settings.DEFAULT_LOG_CAP_BYTES
    assert explained["cora_large_file_bytes"] == settings.DEFAULT_LARGE_FILE_BYTES
    assert explained["cora_paranoid"] is settings.BackupSettings(project="/project", vault="/vault").paranoid
    assert explained["cora_lock_wait_seconds"] == request.lock_wait_seconds
    assert explained["cora_services"] == list(request.services)
    assert explained["cora_health_command"] == list(request.health_command)
    assert explained["cora_health_timeout_seconds"] == request.health_timeout_seconds
    assert explained["cora_keep_setuid"] == request.keep_setuid


def test_default_vault_and_seal_are_those_of_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert explained_settings()["cora_vault"] == defaults.default_vault()
    assert explained_settings()["cora_seal"] == defaults.default_seal()


def test_archive_of_a_build_holds_no_links(installed: Path) -> None:
    (archive,) = installed.parent.glob("cora-backup-*.tar.gz")
    with tarfile.open(archive) as build:
        assert not [member.name for member in build if member.issym() or member.islnk()]
