# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a role says of itself in several places agrees: its defaults, its argument specification, the playbook."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
ROLES = sorted(path.name for path in (ROOT / "roles").iterdir() if path.is_dir())
#: C(role_x: "{{ cora_y | default(Z) }}") in install.yml
MAPPED = re.compile(r'^\s+(\w+): "\{\{ (cora_\w+) \| default\((.*)\) \}\}"$', re.MULTILINE)


def read(path: Path) -> Any:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def role_defaults(role: str) -> dict[str, Any]:
    return dict(read(ROOT / "roles" / role / "defaults/main.yml") or {})


def mapped_settings() -> list[tuple[str, str, Any]]:
    text = (ROOT / "playbooks/install.yml").read_text(encoding="utf-8")
    found = MAPPED.findall(text)
    return [
        (name, setting, ast.literal_eval({"true": "True", "false": "False"}.get(default, default)))
        for name, setting, default in found
        if setting != "cora_hosts"
    ]


@pytest.mark.parametrize("role", ROLES)
def test_argument_specs_say_what_the_defaults_are(role: str) -> None:
    options = read(ROOT / "roles" / role / "meta/argument_specs.yml")["argument_specs"]["main"]["options"]
    assert {name: option.get("default") for name, option in options.items()} == role_defaults(role)


@pytest.mark.parametrize("role", ROLES)
def test_every_role_is_laid_out_alike(role: str) -> None:
    top = ROOT / "roles" / role
    wanted = {"README.md", *(f"tasks/{name}.yml" for name in ("main", "preflight", "configure", "uninstall"))}
    assert [name for name in sorted(wanted) if not (top / name).is_file()] == []
    assert all(name.startswith(f"{role}_") for name in role_defaults(role))


def test_install_says_the_defaults_of_the_roles() -> None:
    defaults = {name: value for role in ROLES for name, value in role_defaults(role).items()}
    mapped = mapped_settings()
    assert len(mapped) > 5
    for name, _setting, default in mapped:
        assert defaults[name] == default, name


def test_inventory_explains_the_defaults_of_install() -> None:
    text = (ROOT / "inventory/group_vars/all.yml").read_text(encoding="utf-8")
    for _name, setting, default in mapped_settings():
        explained = re.search(rf"^# {setting}: (.*)$", text, re.MULTILINE)
        assert explained, setting
        assert yaml.safe_load(explained[1]) == default, setting


def test_equal_content_makes_an_equal_pack() -> None:
    place = ROOT / "playbooks/collections/ansible_collections/cora/backup/roles"
    packs = [pack(ROOT), pack(Path(place, ".."))]
    try:
        assert packs[0]["sha256"] == packs[1]["sha256"]
        with tarfile.open(packs[0]["path"]) as archive:
            names = set(archive.getnames())
            assert {member.uid for member in archive} == {0}
            assert {member.mode for member in archive} == {0o644, 0o755}
    finally:
        for made in packs:
            Path(made["path"]).unlink()
    prefix = "ansible_collections/cora/backup"
    assert {f"{prefix}/tools/cora.sh", f"{prefix}/plugins", f"{prefix}/requirements.txt"} <= names
    assert not [name for name in names if "__pycache__" in name or "/playbooks/collections" in name]


def pack(source: Path) -> dict[str, str]:
    script = ROOT / "roles/runtime/files/pack.py"
    done = subprocess.run([sys.executable, script, source], check=True, capture_output=True)
    return dict(yaml.safe_load(done.stdout))
