# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is typed: options before and after the verb, variables, settings of the inventory."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from cora_cli import ROOT
from cora_cli import context as context_module
from cora_cli.context import Context
from cora_cli.errors import UsageError
from cora_cli.extra_vars import parse_extra_vars
from cora_cli.inventory import Inventory
from cora_cli.output import Output
from cora_cli.parser import build_parser, extra_vars, verbosity
from cora_cli.registry import all_verbs, verbs_for
from cora_cli.run_environment import added_variables, without_secrets
from cora_cli.unknown_settings import warn_of_unknown_settings
from cora_cli.variables import literal_yaml

PARSER = build_parser(all_verbs(), "1.0.0")


@pytest.mark.parametrize(
    "words",
    [
        "--vault /v -e a=1 -v backup now -e b=2 -v",
        "backup --vault /v now -e a=1 -vv -e b=2",
        "backup -e a=1 now -e b=2 --vault /v -v -v",
    ],
)
def test_global_options_stand_anywhere(words: str) -> None:
    options = PARSER.parse_args(words.split())
    assert options.vault == "/v"
    assert extra_vars(options) == ["a=1", "b=2"]
    assert verbosity(options) == 2
    assert options.verb.names == ("backup now",)


def test_the_older_names_mean_the_same() -> None:
    for verb in ("list", "verify"):
        assert PARSER.parse_args([verb]).verb is PARSER.parse_args(["backup", verb]).verb


@pytest.mark.parametrize(
    "words", ["restore latest", "prune", "rotate", "protect", "offsite sync", "offsite fetch latest", "offsite prune"]
)
def test_looking_only_is_called_by_either_word(words: str) -> None:
    checked, dry_run = (vars(PARSER.parse_args([*words.split(), word])) for word in ("--check", "--dry-run"))
    assert checked == dry_run
    assert checked != vars(PARSER.parse_args(words.split()))


@pytest.mark.parametrize(
    "words",
    [
        "restore",
        "restore latest --full --critical",
        "restore latest --file a --full",
        "restore latest --target /x",
        "backup now latest",
        "backup sometime",
        "--vault",
        "list --js",
    ],
)
def test_what_cannot_be_meant_is_wrong_usage(words: str) -> None:
    with pytest.raises(UsageError):
        PARSER.parse_args(words.split())


def test_every_verb_has_help(capsys: pytest.CaptureFixture[str]) -> None:
    for verb in all_verbs():
        for name in verb.names:
            with pytest.raises(SystemExit):
                PARSER.parse_args([*name.split(), "--help"])
            assert "--vault" in capsys.readouterr().out


QUICK = [
    "list",
    "--vault /v list --all --json",
    "--json -v -vv --vault=/v -e a=1 -ea=2 find *.db",
    "--project list status",
    "-e list history a -v",
    "diff ID ID",
    "cat latest a",
    "version",
]


@pytest.mark.parametrize("words", QUICK)
def test_one_verb_is_understood_as_among_all(words: str) -> None:
    verbs = verbs_for(words.split())
    assert len(verbs) < len(all_verbs())
    options, same = build_parser(verbs, "1.0.0").parse_args(words.split()), PARSER.parse_args(words.split())
    assert {**vars(options), "group": None} == {**vars(same), "group": None}


@pytest.mark.parametrize(
    "words",
    ["", "--help", "-h list", "--version", "backup list", "lists", "restore", "--json", "--vault", "-ve list", "--"],
)
def test_all_verbs_are_there_where_it_is_not_plain_which_is_meant(words: str) -> None:
    assert verbs_for(words.split()) == all_verbs()


@pytest.mark.parametrize(
    "words", ["list --js", "list --vault", "list too many", "find", "--bogus list", "--vault --json list"]
)
def test_wrong_usage_is_told_alike(words: str) -> None:
    told = []
    for verbs in (verbs_for(words.split()), all_verbs()):
        with pytest.raises(UsageError) as caught:
            build_parser(verbs, "1.0.0").parse_args(words.split())
        told.append(str(caught.value))
    assert told[0] == told[1]


def test_help_of_one_verb_is_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("list", "status", "find", "history", "cat"):
        for verbs in (verbs_for([name]), all_verbs()):
            with pytest.raises(SystemExit):
                build_parser(verbs, "1.0.0").parse_args([name, "--help"])
        one, other = capsys.readouterr().out.split("usage: ")[1:]
        assert one == other


@pytest.mark.parametrize("verb", ["list", "status", "find x"])
def test_nothing_heavy_is_loaded_to_look_at_backups(verb: str, tmp_path: Path) -> None:
    """Each of these takes longer to load than a hundred backups take to list."""
    script = (
        "import sys; sys.path[0] = sys.argv.pop(1); from cora_cli.main import main; main(sys.argv[1:]); "
        "print(*sys.modules, file=sys.stderr)"
    )
    words = [sys.executable, "-E", "-c", script, str(ROOT / "tools"), "--vault", str(tmp_path), *verb.split()]
    done = subprocess.run(words, capture_output=True, text=True, check=True, cwd=tmp_path)
    loaded = set(done.stderr.split())
    assert "ansible_collections.cora.backup.plugins.module_utils.catalog" in loaded or verb == "find x"
    assert not loaded & {"pathlib", "ansible_runner", "yaml", "ctypes", "difflib", "cora_cli.playbook"}
    assert verb == "status" or not loaded & {"dataclasses", "subprocess"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a=1", {"a": "1"}),
        ("a=1 b='x y'", {"a": "1", "b": "x y"}),
        ("a=x=y", {"a": "x=y"}),
        ('a=["x"]', {"a": '["x"]'}),
        ("a={{ b | c }}/d e=f", {"a": "{{ b | c }}/d", "e": "f"}),
        ('{"a": [1, true]}', {"a": [1, True]}),
        ("", {}),
    ],
)
def test_extra_variables(text: str, expected: dict[str, object]) -> None:
    assert parse_extra_vars([text]) == expected


def test_extra_variables_of_a_file(tmp_path: Path) -> None:
    file = tmp_path / "vars.yml"
    file.write_text("a: [1, 2]\n")
    assert parse_extra_vars(["a=0 b=1", f"@{file}"]) == {"a": [1, 2], "b": "1"}


@pytest.mark.parametrize("text", ["a", "=1", "{", "[1]", "@/nowhere", "a='x"])
def test_what_are_no_variables(text: str) -> None:
    with pytest.raises(UsageError):
        parse_extra_vars([text])


@pytest.mark.parametrize(
    "text", ["plain", "{{ x }}", "a: b", "- ' \"", "ümläut 🙂", "back\\slash", "\x1b[31m\n\t\x7f\x85\u2028"]
)
def test_variables_arrive_as_they_are(text: str) -> None:
    class Loader(yaml.SafeLoader):
        pass

    Loader.add_constructor(
        "!unsafe", lambda loader, node: loader.construct_scalar(yaml.ScalarNode(node.tag, node.value))
    )
    document = yaml.load(literal_yaml({"one": text, "many": [text, text], "flag": True}), Loader=Loader)
    assert document == {"one": text, "many": [text, text], "flag": True}


@pytest.mark.parametrize(
    "text", ["null", "~", "true", "1_000", "0x10", "010", "1.5", "*", "=", "<<", "2020-01-01", "{{ x }}"]
)
def test_words_that_yaml_knows_stay_words(text: str, tmp_path: Path) -> None:
    from ansible.parsing.dataloader import DataLoader

    file = tmp_path / "own.yml"
    file.write_text(literal_yaml({"one": text, "many": [text, "other"]}))
    loaded = DataLoader().load_from_file(str(file))
    assert loaded == {"one": text, "many": [text, "other"]}
    assert all(isinstance(value, str) for value in (loaded["one"], *loaded["many"]))


def test_what_is_not_utf8_cannot_be_a_variable() -> None:
    with pytest.raises(UsageError, match=r"caf\\xe9"):
        literal_yaml({"cora_project": "/srv/caf\udce9"})


@pytest.fixture
def inventory(tmp_path: Path) -> Callable[[str], Inventory]:
    def make(text: str) -> Inventory:
        (tmp_path / "group_vars").mkdir()
        (tmp_path / "group_vars/all.yml").write_text(text)
        return Inventory(tmp_path)

    return make


def test_settings_of_the_inventory(inventory: Callable[[str], Inventory]) -> None:
    found = inventory("---\n# cora_vault: /no\ncora_project: /srv/app\nother: !vault |\n  abc\n")
    assert found.text("cora_project", "--project") == "/srv/app"
    assert found.text("cora_vault", "--vault") is None


@pytest.mark.parametrize("value", ["\"{{ lookup('env', 'HOME') }}/v\"", "[a]", "!vault |\n  abc"])
def test_settings_that_only_ansible_can_work_out(inventory: Callable[[str], Inventory], value: str) -> None:
    with pytest.raises(UsageError, match="use --vault DIR"):
        inventory(f"cora_vault: {value}\n").text("cora_vault", "--vault DIR")


def test_an_inventory_that_is_no_yaml(inventory: Callable[[str], Inventory]) -> None:
    with pytest.raises(UsageError, match="not valid YAML"):
        inventory("cora_vault: [\n")


def test_the_inventory_of_the_checkout_sets_nothing() -> None:
    context = Context(Output(as_json=False))
    assert context.inventory.text("cora_vault", "--vault DIR") is None


def test_the_vault_that_is_named_wins(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    context = Context(Output(as_json=False), vault_option="v", extra_vars={"cora_vault": "/other"})
    assert context.vault == str(tmp_path / "v")
    assert Context(Output(as_json=False), extra_vars={"cora_vault": "/other"}).vault == "/other"


def test_the_project_is_the_work_tree_around(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    (tmp_path / "src").mkdir()
    monkeypatch.chdir(tmp_path / "src")
    context = Context(Output(as_json=False))
    assert context.project == str(tmp_path)
    assert context.named_project is None


def test_commands_to_type_next_can_be_pasted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    command = Context(Output(as_json=False), vault_option="my vault").command("undo")
    assert command.endswith(f"/tools/cora.sh undo --vault '{tmp_path}/my vault'")


def test_a_command_to_type_next_goes_by_the_settings_as_they_are_then(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A full restore of a project that holds the checkout brings older settings back."""
    monkeypatch.setattr(context_module, "ROOT_DIRECTORY", str(tmp_path))
    settings = tmp_path / "inventory/group_vars/all.yml"
    settings.parent.mkdir(parents=True)
    settings.write_text("cora_vault: /mnt/disk\n")
    context = Context(Output(as_json=False))
    assert context.command("undo").endswith(" undo")
    settings.write_text("")
    assert context.command("undo").endswith(" undo --vault /mnt/disk")


def test_settings_that_there_are_not_are_named(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    settings = tmp_path / "inventory/group_vars/all.yml"
    settings.parent.mkdir(parents=True)
    settings.write_text("cora_vault: /mnt/disk\ncora_exclud: [x]\n")
    monkeypatch.setattr(context_module, "ROOT_DIRECTORY", str(tmp_path))
    extra = {"cora_sea": "best_effort", "cora_seal": "required", "my_own": 1, "cora_zzzzzzzzzzzz": 1}
    warn_of_unknown_settings(Context(Output(as_json=False), extra_vars=extra))
    assert capsys.readouterr().err.splitlines() == [
        "warning: there is no setting cora_exclud. Did you mean cora_exclude?",
        "warning: there is no setting cora_sea. Did you mean cora_seal?",
        "warning: there is no setting cora_zzzzzzzzzzzz.",
    ]


def test_every_setting_that_the_inventory_shows_is_known(capsys: pytest.CaptureFixture[str]) -> None:
    shown = re.findall(r"^# ?(cora_\w+):", (ROOT / "inventory/group_vars/all.yml").read_text("utf-8"), re.MULTILINE)
    assert len(shown) > 40
    warn_of_unknown_settings(Context(Output(as_json=False), extra_vars=dict.fromkeys(shown, "x")))
    assert capsys.readouterr().err == ""


def test_secrets_do_not_reach_the_artifacts_of_a_run() -> None:
    variables = {
        "AWS_SECRET_ACCESS_KEY": "x",
        "GITHUB_TOKEN": "x",
        "DATABASE_URL": "postgres://app:secret@db/app",
        "AWS_SHARED_CREDENTIALS_FILE": "/root/.aws/credentials",
        "HOME": "/root",
        "no_proxy": "localhost",
    }
    assert set(without_secrets(variables)) == {"AWS_SHARED_CREDENTIALS_FILE", "HOME", "no_proxy"}


@pytest.mark.parametrize("name", ["C", "POSIX", "no_SUCH.locale"])
def test_ansible_gets_a_locale_it_accepts(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv("LC_ALL", name)
    assert added_variables(Path("/nonexistent"))["LC_ALL"] == "C.UTF-8"


def test_json_output_is_ascii(capsys: pytest.CaptureFixture[str]) -> None:
    Output(as_json=True).document({"name": "ümläut"})
    text = capsys.readouterr().out
    assert text.isascii()
    assert json.loads(text) == {"name": "ümläut"}
