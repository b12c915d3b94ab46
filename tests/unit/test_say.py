# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Phrases: whatever the wording, the command that is meant; and never one that takes something away."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from cora_cli.main import main
from cora_cli.parser import build_parser
from cora_cli.phrases import command_for, phrases
from cora_cli.registry import all_verbs

HARMLESS = {"backup now", "backup auto", "save", "status", "list", "verify", "protect", "offsite sync"}


def test_no_phrase_does_harm() -> None:
    parser = build_parser(all_verbs(), "1.0.0")
    for command in phrases():
        options = parser.parse_args(command.split())
        assert set(options.verb.names) & HARMLESS, command
        given = [word for word in command.split() if word.startswith("-")]
        assert set(given) <= {"--all"}, command


def test_every_phrase_means_its_own_command() -> None:
    wrong = {(phrase, command_for(phrase)) for command, known in phrases().items() for phrase in known
             if command_for(phrase) != command}  # fmt: skip
    assert not wrong


@pytest.mark.parametrize(
    ("text", "command"),
    [
        ("let's backup our system", "backup now"),
        ("Let\N{RIGHT SINGLE QUOTATION MARK}s back up our system!", "backup now"),
        ("PLEASE BACKUP THE SYSTEM NOW", "backup now"),
        ("could you make a full back-up?", "backup now"),
        ("backup and end session", "backup auto"),
        ("Backup & end the session.", "backup auto"),
        ("take a snapshot", "save"),
        ("take a snapshto please", "save"),
        ("Protect our work", "save"),
        ("save our progress", "save"),
        ("ok, save my progress now", "save"),
        ("are we safe?", "status"),
        ("verify the latest backup", "verify"),
        ("show me the backups", "list --all"),
        ("protect the critical files", "protect"),
    ],
)
def test_wording_does_not_matter(text: str, command: str) -> None:
    assert command_for(text) == command


@pytest.mark.parametrize(
    "text",
    [
        "",
        "?!",
        "make coffee",
        "restore the backup",
        "restore latest backup now",
        "delete our backups",
        "delete the old backups to save space",
        "don't backup",
        "do not save our progress",
        "undo",
        "prune backups",
        "remove the snapshot",
        "uninstall cora",
        "stop the backup",
        "take the protection off",
        "unprotect critical files",
        "roll back to the last snapshot",
        "reset our work",
    ],
)
def test_what_is_unknown_or_does_harm_means_nothing(text: str) -> None:
    assert command_for(text) is None


def test_unknown_text_shows_the_phrases(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["say", "make coffee"]) == 2
    assert "save our progress" in capsys.readouterr().err
    assert main(["say", "make", "coffee", "--json"]) == 2
    document = json.loads(capsys.readouterr().out)
    assert document["error"] == "UsageError"
    assert document["phrases"] == phrases()


def test_what_is_said_is_done_with_the_options_of_the_call(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["say", "--vault", str(tmp_path), "list", "our", "backups"]) == 0
    out, err = capsys.readouterr()
    assert "That is: cora list --all" in err
    assert str(tmp_path) in out
    assert main(["say", "list our backups", "--vault", str(tmp_path), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == []
