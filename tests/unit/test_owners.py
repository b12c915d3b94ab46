# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The accounts that a backup's files belong to, made in a root directory of the test's own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.cora.backup.plugins.module_utils import owners
from support.engine import backup
from support.tools import tool

REPO = Path(__file__).resolve().parents[2]
#: Runs with an /etc and a /home of its own, in a mount namespace that ends with it.
_HERE = """
set -eu
mount --bind "$1" /etc
mount --bind "$1/home" /home
exec "$2" -c "$3"
"""


@pytest.fixture
def etc(tmp_path: Path) -> Path:
    """What a fresh machine knows."""
    place = tmp_path / "etc"
    place.mkdir()
    for name in ("login.defs", "nsswitch.conf", "pam.d", "default", "ld.so.cache"):
        tool("cp", "-a", f"/etc/{name}", place)
    (place / "home").mkdir()
    (place / "skel").mkdir()
    (place / "passwd").write_text("root:x:0:0:root:/root:/bin/bash\ndebian:x:1000:1000::/home/debian:/bin/bash\n")
    (place / "group").write_text("root:x:0:\ndebian:x:1000:\n")
    (place / "shadow").write_text("root:*:1::::::\ndebian:*:1::::::\n")
    (place / "gshadow").write_text("root:*::\ndebian:*::\n")
    return place


def have_accounts(etc: Path, saved: Path, *, check: bool = False) -> dict[str, Any]:
    code = (
        "import json; from ansible_collections.cora.backup.plugins.module_utils.owners import have_accounts; "
        f"print(json.dumps(have_accounts({str(saved)!r}, check={check})))"
    )
    done = subprocess.run(
        ["unshare", "--mount", "--propagation", "private", "bash", "-c", _HERE, "here", str(etc), sys.executable, code],
        check=True,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(REPO / "playbooks/collections")},
    )
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def saved_as(project: Path, vault: Path, monkeypatch: pytest.MonkeyPatch, names: dict[int, str]) -> Path:
    """A backup made on a machine with these users, each of whom has a file and a group."""
    import grp
    import pwd

    for uid in names:
        (project / f"of-{uid}").write_text("theirs")
        os.chown(project / f"of-{uid}", uid, uid)
    found_user, found_group = pwd.getpwuid, grp.getgrgid

    def user(uid: int) -> Any:
        return pwd.struct_passwd((names[uid], "x", uid, uid, "", "/", "/")) if uid in names else found_user(uid)

    def group(gid: int) -> Any:
        return grp.struct_group((names[gid], "x", gid, [])) if gid in names else found_group(gid)

    monkeypatch.setattr(pwd, "getpwuid", user)
    monkeypatch.setattr(grp, "getgrgid", group)
    made = backup(project, vault).path
    monkeypatch.undo()
    return made


def test_people_are_made_with_their_numbers_and_once(
    etc: Path, project: Path, vault: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    saved = saved_as(project, vault, monkeypatch, {1005: "deploy"})
    assert owners.owners_of(str(saved)).users[1005] == "deploy"
    assert have_accounts(etc, saved, check=True)["changed"] is True
    assert "deploy" not in (etc / "passwd").read_text()
    result = have_accounts(etc, saved)
    assert (result["created"], result["warnings"]) == (["deploy"], [])
    assert "deploy:x:1005:1005:" in (etc / "passwd").read_text()
    assert "deploy:!" in (etc / "shadow").read_text()
    assert (etc / "home/deploy").is_dir()
    assert have_accounts(etc, saved)["changed"] is False


def test_what_cannot_be_made_is_said(etc: Path, project: Path, vault: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = {1000: "deploy", 113: "redis", 1006: "--root=/", 1007: "debian"}
    saved = saved_as(project, vault, monkeypatch, names)
    before = (etc / "passwd").read_text()
    result = have_accounts(etc, saved)
    assert (result["changed"], result["created"]) == (False, [])
    assert (etc / "passwd").read_text() == before
    said = "\n".join(result["warnings"])
    assert "user deploy (1000) belong to debian here" in said
    assert "user redis (113), who is not here" in said
    assert "user --root=/ (1006), who is not here" in said
    assert "user debian has another number here than the files (1007)" in said
