# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The plain archive that tools/save.sh makes where nothing of cora can run."""

from __future__ import annotations

from pathlib import Path

from support.tools import tool

SAVE = Path(__file__).resolve().parents[2] / "tools/save.sh"


def test_only_directories_are_left_out_by_their_name(tmp_path: Path) -> None:
    project = tmp_path / "project"
    kept = ["venv", "sub/.git", "sub/file", "b", "[a]/file", "b\n./sub/venv/x"]
    left_out = [".git/HEAD", "a/venv/x", "[a]/venv/x", "web/node_modules/left-pad/index.js"]
    for path in kept + left_out:
        (project / path).parent.mkdir(parents=True, exist_ok=True)
        if not (project / path).exists():
            (project / path).write_text(path)
    tool("sh", SAVE, "--oneshot", "--project", project, "--vault", tmp_path / "vault")
    (archive,) = (tmp_path / "vault").glob("progress/*/*/*/*-oneshot.tar.gz")
    there = tmp_path / "there"
    there.mkdir()
    tool("tar", "-xzf", archive, "-C", there)
    for path in kept:
        assert (there / path).exists(), path
    for path in left_out:
        assert not (there / path).exists(), path
    assert (there / "web").is_dir()
