# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What root, a clean-up script or an agent with a shell may try on a sealed backup: it is still there afterwards."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from faults.conftest import Mount
from faults.lab import check_backup, difference, engine, is_sealed, make_project, tool, tree, without

#: Some minutes together: left out by test.sh --fast.
pytestmark = pytest.mark.slow

#: Shell commands on a vault $V with a backup $B; each has to fail.
ATTACKS = {
    "rm": 'rm -rf "$V/$B"',
    "rm of the vault": 'rm -rf "$V"',
    "find -delete": 'find "$V/$B" -delete',
    "overwrite": 'echo x > "$V/$B/cora-full.tar.gz"',
    "append": 'echo x >> "$V/$B/SHA256SUMS.txt"',
    "dd": 'dd if=/dev/zero of="$V/$B/cora-full.tar.gz" bs=1 count=10 conv=notrunc',
    "truncate": 'truncate -s 0 "$V/$B/INDEX.jsonl.gz"',
    "fallocate": 'fallocate --punch-hole -o 0 -l 512 "$V/$B/cora-full.tar.gz"',
    "rename a file": 'mv "$V/$B/REPORT.json" "$V/$B/OTHER.json"',
    "move a file out": 'mv "$V/$B/critical/README.md" "$V/../stolen"',
    "rename the backup": 'mv "$V/$B" "$V/other"',
    "move the backup out": 'mv "$V/$B" "$V/../moved"',
    "rename the vault": 'mv "$V" "$V.old"',
    "replace the vault": 'mkdir "$V/../fake" && mv -T --exchange "$V/../fake" "$V" || mv -T "$V/../fake" "$V"',
    "a link to a file": 'ln "$V/$B/cora-full.tar.gz" "$V/../linked"',
    "a new file in it": 'touch "$V/$B/new"',
    "a new file in critical": 'touch "$V/$B/critical/new"',
    "chmod": 'chmod 777 "$V/$B/cora-full.tar.gz"',
    "chown": 'chown 1:1 "$V/$B"',
    "touch": 'touch "$V/$B/cora-full.tar.gz"',
    "setfattr": 'setfattr -n user.x -v y "$V/$B/cora-full.tar.gz"',
    "sed -i": 'sed -i s/a/b/ "$V/$B/MANIFEST.txt"',
    "cp over it": 'cp /etc/passwd "$V/$B/critical/README.md"',
    "sqlite3": 'sqlite3 "$V/$B/db/data.db" "DELETE FROM notes"',
    "shred": 'shred -u "$V/$B/cora-full.tar.gz"',
    "git clean": 'cd "$V" && git init -q . && git clean -fdxq && false',
    "rsync --delete": 'mkdir -p "$V/../none" && cp -aT "$V/../none" "$V/$B" --remove-destination && false',
}


@pytest.mark.parametrize("kind", ["ext4", "xfs", "btrfs"])
def test_attacks(kind: str, place: Path, loop: Mount) -> None:
    project = make_project(place / "project")
    disk = loop(size_mib=512 if kind == "xfs" else 128, kind=kind)
    vault = disk / "vault"
    backup_id = engine("backup", project=str(project), vault=str(vault)).result()["id"]
    backup = vault / backup_id
    before = tree(backup)
    survived = []
    for name, command in ATTACKS.items():
        done = subprocess.run(
            ["sh", "-c", command],
            env={"V": str(vault), "B": backup_id, "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"},
            capture_output=True,
            check=False,
        )
        if done.returncode == 0:
            survived.append(name)
        assert difference(before, tree(backup)) == [], f"{name} changed the backup: {done.stderr.decode()}"
    assert survived == [], "these said that they had worked"
    check_backup(backup)
    assert is_sealed(backup)
    verdict = engine("verify", vault=str(vault), id_text=backup_id).result()
    assert verdict["ok"]
    assert verdict["sealed"]
    whole = tree(project)
    tool("rm", "-rf", project)
    engine("restore", vault=str(vault), id_text="latest", scenario="full").result()
    excluded = (".git", "node_modules", "src/__pycache__")
    assert difference(without(whole, *excluded), tree(project)) == []
    second = engine("backup", project=str(project), vault=str(vault)).result()
    check_backup(vault / second["id"])
