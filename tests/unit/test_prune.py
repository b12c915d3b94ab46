# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module prune on a real vault; pins and tags; settings that are said in several places."""

from __future__ import annotations

import json
import os
import re
from dataclasses import fields, replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.cora.backup.plugins.module_utils import argspec_prune
from ansible_collections.cora.backup.plugins.module_utils.catalog import list_backups
from ansible_collections.cora.backup.plugins.module_utils.checkpoint import save
from ansible_collections.cora.backup.plugins.module_utils.errors import ServiceError, SettingsError
from ansible_collections.cora.backup.plugins.module_utils.keep_rules import Policy, PruneRequest
from ansible_collections.cora.backup.plugins.module_utils.marks import is_pinned, set_pin, set_tag, tags_of
from ansible_collections.cora.backup.plugins.module_utils.prune import prune, saved_states
from ansible_collections.cora.backup.plugins.module_utils.prune_summary import prune_summary
from ansible_collections.cora.backup.plugins.module_utils.settings import BackupSettings, Service
from ansible_collections.cora.backup.plugins.module_utils.undo import undo_last
from ansible_collections.cora.backup.plugins.module_utils.vault import Vault
from ansible_collections.cora.backup.plugins.module_utils.verify import verify_backup
from support.engine import backup, restore
from support.modules import run_module
from support.tools import tool

ROOT = Path(__file__).resolve().parents[2]
ONLY_LAST: dict[str, Any] = {
    "keep_last": 1, "keep_daily": 0, "keep_weekly": 0, "keep_monthly": 0, "keep_yearly": 0, "keep_within_days": 0,
}  # fmt: skip


@pytest.fixture
def ids(project: Path, vault: Path) -> list[str]:
    """Three backups, the oldest first, and the newest of them verified."""
    made = [backup(project, vault).id for _ in range(3)]
    verify_backup(str(vault), made[-1])
    return made


def there(vault: Path) -> list[str]:
    return sorted(path.name for path in vault.iterdir() if path.name[0] == "2")


def flags(path: Path) -> str:
    return tool("lsattr", "-d", path).decode().split()[0]


def test_check_then_run_then_check_again(ids: list[str], vault: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for check, changed, left in (
        (True, True, ids),
        (False, True, ids[2:]),
        (True, False, ids[2:]),
        (False, False, ids[2:]),
    ):
        result = run_module(capsys, "prune", vault=vault, check=check, diff=True, **ONLY_LAST)
        assert result["changed"] is changed, result
        assert there(vault) == left
        assert result["removed"] == (ids[:2] if changed else [])
    assert "a" in flags(vault)
    assert "i" in flags(vault / ids[2])
    assert result["diff"]["before"] == result["diff"]["after"]


def test_a_dry_run_gives_the_reason_for_each_id_and_touches_nothing(
    ids: list[str], vault: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = sorted((str(path), path.lstat().st_ctime_ns) for path in vault.rglob("*"))
    result = run_module(capsys, "prune", vault=vault, check=True, diff=True, **ONLY_LAST)
    assert sorted((str(path), path.lstat().st_ctime_ns) for path in vault.rglob("*")) == before
    assert [one["id"] for one in result["decisions"]] == ids[::-1]
    assert all(one["reasons"] for one in result["decisions"])
    text = "\n".join(result["summary"])
    assert all(backup_id in text for backup_id in ids)
    assert "takes its place" in text
    assert result["diff"]["after"] == f"backup {ids[2]}\n"


def test_nothing_goes_before_it_is_verified_and_verify_does_that(
    project: Path, vault: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = [backup(project, vault).id for _ in range(2)]
    verify_backup(str(vault), made[-1], quick=True)
    result = run_module(capsys, "prune", vault=vault, **ONLY_LAST)
    assert result["changed"] is False
    assert result["decisions"][1]["waits_for"] == made[1]
    assert f"cora verify {made[1]}" in "\n".join(result["summary"])
    result = run_module(capsys, "prune", vault=vault, verify=True, **ONLY_LAST)
    assert result["verified"] == [made[1]]
    assert there(vault) == [made[1]]


def test_a_backup_that_turns_out_to_be_damaged_replaces_nothing(project: Path, vault: Path) -> None:
    made = [backup(project, vault) for _ in range(2)]
    archive = made[1].archive
    tool("chattr", "-i", archive)
    with open(archive, "r+b") as stream:
        stream.seek(50)
        stream.write(b"damage")
    result = prune(PruneRequest(str(vault), Policy(**ONLY_LAST), verify=True))
    assert result["removed"] == []
    assert f"{made[1].id} is damaged" in result["warnings"][0]


def test_pinned_and_tagged_ones_stay(ids: list[str], vault: Path) -> None:
    keeper = Vault(str(vault))
    assert set_pin(keeper, ids[0], on=True)
    assert not set_pin(keeper, ids[0], on=True)
    assert set_tag(keeper, ids[1], "release-1", on=True)
    policy = Policy(**ONLY_LAST, keep_tags=("release-1",))
    assert prune(PruneRequest(str(vault), policy))["removed"] == []
    rows = {row["id"]: row for row in list_backups(str(vault))}
    assert [rows[one]["pinned"] for one in ids] == [True, False, False]
    assert [rows[one]["tags"] for one in ids] == [[], ["release-1"], []]
    assert set_pin(keeper, ids[0], on=False)
    assert set_tag(keeper, ids[1], "release-1", on=False)
    assert prune(PruneRequest(str(vault), policy))["removed"] == ids[:2]


def test_what_is_remembered_of_a_removed_one_is_forgotten(ids: list[str], vault: Path) -> None:
    keeper = Vault(str(vault))
    set_tag(keeper, ids[0], "x", on=True)
    verify_backup(str(vault), ids[0])
    prune(PruneRequest(str(vault), Policy(**ONLY_LAST)))
    assert tags_of(keeper, ids[0]) == []
    assert not is_pinned(keeper, ids[0])
    assert sorted(os.listdir(keeper.verified)) == [f"{ids[2]}.json"]


@pytest.mark.parametrize("name", ["", "a b", "-x", "../x", "x" * 65, "ä", "a/b"])
def test_what_is_no_name_for_a_tag(name: str, tmp_path: Path) -> None:
    with pytest.raises(SettingsError):
        set_tag(Vault(str(tmp_path)), "20261124-000000-nogit", name, on=True)


def test_only_one_project(ids: list[str], project: Path, vault: Path, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    others = [backup(tmp_path / "other", vault).id for _ in range(2)]
    verify_backup(str(vault), others[-1])
    result = prune(PruneRequest(str(vault), Policy(**ONLY_LAST), project=str(tmp_path / "other")))
    assert result["removed"] == others[:1]
    assert there(vault) == [*ids, others[1]]


def test_a_vault_that_is_not_there(tmp_path: Path) -> None:
    result = prune(PruneRequest(str(tmp_path / "none"), Policy()))
    assert not result["changed"]
    assert not (tmp_path / "none").exists()
    assert prune_summary(result, check=False)[0].startswith("There is nothing in")


def test_a_refused_restore_takes_no_place_of_the_one_that_can_be_undone(project: Path, vault: Path) -> None:
    backup(project, vault)
    (project / "AI_WORK_LOG.md").write_text("newer\n")
    done = restore(vault, scenario="critical")["restore_id"]
    (project / "README.md").write_text("newer\n")
    (project / "AI_WORK_LOG.md").write_text("newest\n")
    no_stop = (Service(kind="command", stop=("false",), start=("true",)),)
    refused: list[dict[str, Any]] = [
        {"scenario": "files", "files": ("README.md",)}, {"scenario": "critical"}, {"scenario": "full"},
    ]  # fmt: skip
    for what in refused:
        with pytest.raises(ServiceError):
            restore(vault, services=no_stop, **what)
    assert len(list((vault / ".cora" / "restores").iterdir())) == 1 + len(refused)

    request = PruneRequest(vault=str(vault), policy=Policy(keep_restores_days=0))
    found = {one["id"]: one for one in prune(request)["decisions"] if one["kind"] == "restore"}
    assert [one for one in found if found[one]["keep"]] == [done]
    assert found[done]["reasons"] == ["the newest restore of its project"]
    assert [path.name for path in (vault / ".cora" / "restores").iterdir()] == [done]
    assert undo_last(str(vault))["undone_id"] == done
    assert (project / "AI_WORK_LOG.md").read_text() == "newer\n"


def test_a_restore_that_was_written_down_elsewhere_goes_too(
    project: Path, vault: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While the vault could not be written, records stand in this machine's own place."""
    monkeypatch.setattr(f"{Vault.__module__}.state_directory", lambda: str(tmp_path / "state"))
    backup(project, vault)
    for text in ("newer\n", "newest\n"):
        (project / "AI_WORK_LOG.md").write_text(text)
        restore(vault, scenario="critical")
    older, newer = sorted((vault / ".cora" / "restores").iterdir())
    elsewhere = Path(Vault(str(vault)).away)
    elsewhere.mkdir(parents=True)
    tool("mv", older, elsewhere)
    removed = prune(PruneRequest(vault=str(vault), policy=Policy(keep_restores_days=0)))["removed"]
    assert removed == [older.name]
    assert list(elsewhere.iterdir()) == []
    assert newer.exists()


def test_ids_ahead_of_the_clock_are_dated_by_their_files(project: Path, vault: Path) -> None:
    made = backup(project, vault)
    now = datetime.now(timezone.utc)
    (saved,) = saved_states(Vault(str(vault)), now - timedelta(days=2))
    assert abs(saved.made_at - now) < timedelta(minutes=5)
    tool("chattr", "-R", "-i", made.path)
    tool("chattr", "-a", vault)
    made.path.rename(vault / "20991231-000000-nogit")
    (saved,) = saved_states(Vault(str(vault)), now)
    assert abs(saved.made_at - now) < timedelta(minutes=5)


def test_the_log_says_who(ids: list[str], vault: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SUDO_USER", "deploy")
    prune(PruneRequest(str(vault), Policy(**ONLY_LAST)))
    lines = [json.loads(line) for line in (vault / ".cora/prune.log").read_text().splitlines()]
    assert [line["id"] for line in lines] == [ids[0], ids[0], ids[1], ids[1]]
    assert {(line["uid"], line["sudo_user"]) for line in lines} == {(os.getuid(), "deploy")}


def test_every_new_checkpoint_keeps_the_budget(project: Path, vault: Path) -> None:
    made = backup(project, vault)
    settings = BackupSettings(str(project), str(vault), keep_checkpoints_bytes=50_000)
    results = []
    for number in range(4):
        (project / "README.md").write_text(f"work {number}\n")
        results.append(save(settings))
    left = Vault(str(vault)).checkpoint_ids()
    assert left == [result["id"] for result in results[-len(left) :]]
    assert 1 <= len(left) < 4
    assert f"Removed the checkpoint {results[0]['id']}" in "\n".join(results[2]["warnings"] + results[3]["warnings"])
    assert int(tool("du", "-s", "-B1", vault / "progress").split()[0]) < 80_000
    assert there(vault) == [made.id]
    tiny = save(replace(settings, project=str(project), keep_checkpoints_bytes=1))
    assert not tiny["changed"]
    (project / "README.md").write_text("more\n")
    tiny = save(replace(settings, keep_checkpoints_bytes=1))
    assert Vault(str(vault)).checkpoint_ids() == [tiny["id"]], "the newest state stays, however large"
    assert "over their budget" in tiny["warnings"][0]


# --- settings that are said in several places ---


def test_options_of_the_module_are_those_of_the_policy() -> None:
    params = {name: option.get("default") for name, option in argspec_prune.prune_spec().items()}
    assert argspec_prune.prune_request({**params, "vault": "/vault"}).policy == Policy()
    assert argspec_prune.prune_request({**params, "vault": "/vault", "keep_tags": ["a"]}).policy == Policy(
        keep_tags=("a",)
    )


def test_explained_defaults_are_the_true_ones() -> None:
    text = (ROOT / "inventory/group_vars/all.yml").read_text(encoding="utf-8")
    explained = yaml.safe_load("\n".join(re.findall(r"^# (cora_keep_(?!setuid)\w+:.*)$", text, flags=re.MULTILINE)))
    policy = Policy()
    true = {f"cora_{item.name}": getattr(policy, item.name) for item in fields(Policy)}
    assert explained == {**true, "cora_keep_tags": []}


def test_documented_defaults_are_the_true_ones() -> None:
    text = (ROOT / "docs/retention.md").read_text(encoding="utf-8")
    for name, default in re.findall(r"^\| `cora_(keep_\w+)` \| (\d+) \|", text, flags=re.MULTILINE):
        assert float(default) == getattr(Policy(), name)
