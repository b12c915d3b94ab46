# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The documentation says what is so: its links lead somewhere, its commands exist, and restoring by hand works.

Every block marked C(sh) in docs/restore-by-hand.md and docs/vault-format.md is run, in order, against a real backup.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import shutil
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest
from ansible_collections.cora.backup.plugins.module_utils.checkpoint import save
from ansible_collections.cora.backup.plugins.module_utils.settings import BackupSettings
from ansible_collections.cora.backup.plugins.module_utils.version import VERSION
from cora_cli.errors import UsageError
from cora_cli.parser import build_parser
from cora_cli.registry import all_verbs
from support.engine import Made, backup, restore
from support.tools import tool

REPO = Path(__file__).resolve().parents[2]
PAGES = sorted([REPO / "README.md", *(REPO / "docs").glob("*.md")])
BY_HAND = REPO / "docs" / "restore-by-hand.md"
FORMAT = REPO / "docs" / "vault-format.md"
WRAPPER = "./tools/cora.sh"

_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_HEADING = re.compile(r"^#{1,6} (.+)$", re.MULTILINE)
_COMMAND = re.compile(r"(?<![\w/.-])(?:\./tools/cora\.sh|cora) ([^\n`|#;)]*)")
_CODE = re.compile(r"`([^`\n]+)`")


def ids(path: Path) -> str:
    """How a page is named in a test's name."""
    return path.name


# --- links ---


def anchors(page: Path) -> set[str]:
    """Names of the headings of a page as Git hosts make them."""
    text = _BLOCK.sub("", page.read_text(encoding="utf-8"))
    return {
        re.sub(r"[^\w\- ]", "", heading.replace("`", "").lower()).strip().replace(" ", "-")
        for heading in _HEADING.findall(text)
    }


@pytest.mark.parametrize("page", PAGES, ids=ids)
def test_every_relative_link_leads_somewhere(page: Path) -> None:
    broken = []
    for link in _LINK.findall(_BLOCK.sub("", page.read_text(encoding="utf-8"))):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            broken.append(link)
    assert not broken


def test_files_that_the_documentation_names_exist() -> None:
    missing = []
    for page in PAGES:
        for word in _CODE.findall(page.read_text(encoding="utf-8")):
            if re.fullmatch(r"(plugins|playbooks|tools|inventory|docs|tests|bench)/[\w./-]+", word):
                missing += [] if (REPO / word).exists() else [f"{page.name}: {word}"]
            elif page.name == "architecture.md" and re.fullmatch(r"\w+\.py", word):
                found = [*(REPO / "plugins").rglob(word), *(REPO / "tools").rglob(word)]
                missing += [] if found else [f"{page.name}: {word}"]
    assert not missing


@pytest.mark.parametrize("directory", ["plugins/module_utils", "plugins/plugin_utils", "tools/cora_cli"])
def test_the_page_of_the_architecture_names_every_file(directory: str) -> None:
    named = set(_CODE.findall((REPO / "docs/architecture.md").read_text(encoding="utf-8")))
    there = {path.name for path in (REPO / directory).glob("*.py") if not path.name.startswith("__")}
    assert there
    assert not there - named


# --- commands ---


@cache
def help_of(*words: str) -> str:
    """What C(cora … --help) says; empty where there is no such verb."""
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        try:
            build_parser(all_verbs(), VERSION).parse_args([*words, "--help"])
        except (SystemExit, UsageError):
            pass  # help ends with the first, and is not reached with the second
    return said.getvalue()


def mentioned_commands() -> Iterator[tuple[str, str]]:
    """Every C(cora …) in code of the documentation, with the page."""
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        code = [re.sub("#.*", "", block) for kind, block in _BLOCK.findall(text) if kind in ("", "sh", "console")]
        for piece in [*code, *_CODE.findall(_BLOCK.sub("", text))]:
            for words in _COMMAND.findall(piece):
                yield page.name, words.strip()


def problem_with(words: list[str]) -> str | None:
    """What is wrong with a call of cora: a verb or an option that its help does not know."""
    options = [word.partition("=")[0] for word in words if re.fullmatch(r"--?[a-z][a-z-]*(=.*)?", word)]
    verb: list[str] = []
    while words and words[0].startswith("-"):
        words = words[2:] if words[0] in ("--project", "--vault", "-e") else words[1:]
    for word in words[:2]:
        if not re.fullmatch(r"[a-z]+", word) or (verb and verb[0] not in ("backup", "offsite")):
            break
        verb.append(word)
    text = help_of(*verb)
    if not text:
        return f"no verb {' '.join(verb)}"
    unknown = [option for option in options if not re.search(rf"(?<![\w-]){re.escape(option)}(?![\w-])", text)]
    return f"{' '.join(verb)} has no {' '.join(unknown)}" if unknown else None


def test_every_command_that_the_documentation_mentions_exists() -> None:
    mentioned = set(mentioned_commands())
    assert len(mentioned) > 10
    wrong = {f"{page}: cora {text}: {problem}" for page, text in mentioned if (problem := problem_with(text.split()))}
    assert not wrong


def test_what_coding_agents_are_told_exists() -> None:
    text = (REPO / "roles/agents/templates/block.md.j2").read_text(encoding="utf-8")
    mentioned = {words.strip() for words in _COMMAND.findall(text)}
    assert {"save", "undo", "undo --yes", "restore latest --file PATH"} <= mentioned
    wrong = {f"cora {words}: {problem}" for words in mentioned if (problem := problem_with(words.split()))}
    assert not wrong


def test_every_playbook_and_setting_that_the_documentation_mentions_exists() -> None:
    text = "\n".join(page.read_text(encoding="utf-8") for page in PAGES)
    names = set(re.findall(r"playbooks/(\w+)\.yml", text)) | set(
        re.findall(r"ansible-playbook cora\.backup\.(\w+)", text)
    )
    assert {"backup", "restore"} <= names <= {path.stem for path in (REPO / "playbooks").glob("*.yml")}
    settings = (REPO / "inventory/group_vars/all.yml").read_text() + (REPO / "playbooks/restore.yml").read_text()
    assert set(re.findall(r"\bcora_[a-z_]+\b", text)) - {"cora_cli"} <= set(re.findall(r"\bcora_[a-z_]+\b", settings))


def test_the_page_of_the_collection_names_all_of_it() -> None:
    rows = re.findall(r"^\| `(\S+)` \|", (REPO / "docs/collection.md").read_text(encoding="utf-8"), re.MULTILINE)
    there = [f"playbooks/{path.name}" for path in REPO.glob("playbooks/*.yml")]
    there += [f"cora.backup.{path.stem}" for path in REPO.glob("plugins/modules/*.py")]
    there += [f"cora.backup.{path.parent.name}" for path in REPO.glob("roles/*/tasks")]
    assert sorted(rows) == sorted(there)


def test_the_two_commands_of_the_first_screen_are_there() -> None:
    first_screen = (REPO / "README.md").read_text(encoding="utf-8")[:1500]
    for command in (f"{WRAPPER} backup now", "./tools/test.sh"):
        assert command in first_screen
        assert os.access(REPO / command.split()[0], os.X_OK)


# --- restoring by hand ---


@dataclass
class Lab:
    """The project that the documentation shows, a copy of it, and its backup."""

    project: Path
    original: Path
    remote: Path
    made: Made

    @property
    def vault(self) -> Path:
        return self.made.path.parent

    def run(self, blocks: list[str]) -> list[str]:
        """What each block says, run in one shell, as a person would."""
        pause = "printf '\\f'"
        script = "\n".join([self._variables(), *(f"{block}{pause}" for block in blocks)])
        done = subprocess.run(
            ["bash", "-eu", "-c", script],
            cwd="/",
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
        return done.stdout.split("\f")[:-1]

    def _variables(self) -> str:
        return f"VAULT='{self.vault}' PROJECT='{self.project}' ID='{self.made.id}'"

    def as_shown(self, text: str) -> list[str]:
        """Lines with what differs from run to run taken out: paths, numbers, digests."""
        text = text.replace(str(self.vault), "/var/backups/cora").replace(str(self.project), "/srv/shop")
        return [" ".join(re.sub(r"[0-9a-f]*\d[0-9a-f]*", "N", line).split()) for line in text.splitlines()]


def _git(directory: Path, *words: str) -> None:
    settings = ("user.name=Ann", "user.email=ann@example.org", "init.defaultBranch=main")
    tool("git", *(part for setting in settings for part in ("-c", setting)), *words, cwd=directory)


@pytest.fixture
def lab(tmp_path: Path, vault: Path) -> Lab:
    """See :class:`Lab`."""
    project, original, remote = tmp_path / "shop", tmp_path / "original", tmp_path / "origin.git"
    for name in ("src", "data", "config", "node_modules/x"):
        (project / name).mkdir(parents=True)
    for name, text in {
        "README.md": "# Shop\n",
        "AI_WORK_LOG.md": "log: started\n",
        ".env": "SECRET=1\n",
        ".gitignore": "node_modules/\ndata/\n.env\n",
        "src/app.py": 'print("shop")\n',
        "config/app.yml": "port: 8080\n",
        "node_modules/x/index.js": "x\n",
    }.items():
        (project / name).write_text(text)
    (project / ".env").chmod(0o600)
    (project / "app.yml").symlink_to("config/app.yml")
    tool("setfacl", "-m", "u:nobody:r", project / "config/app.yml")
    with closing(sqlite3.connect(project / "data/shop.db")) as database:
        database.execute("PRAGMA journal_mode=WAL")
        database.execute("CREATE TABLE orders (id INTEGER PRIMARY KEY, item TEXT)")
        database.executemany("INSERT INTO orders (item) VALUES (?)", [("tea",), ("cup",), ("pot",)])
        database.commit()
    tool("chown", "-R", "nobody:nogroup", project / "data")
    _git(tmp_path, "init", "-q", "--bare", "origin.git")
    _git(project, "init", "-q")
    _git(project, "remote", "add", "origin", str(remote))
    _git(project, "add", "-A")
    _git(project, "commit", "-qm", "Shop")
    _git(project, "push", "-q", "origin", "main")
    (project / "src/app.py").write_text('print("shop 2")\n')
    os.link(project / "src/app.py", project / "src/app2.py")
    _git(project, "add", "-A")
    _git(project, "commit", "-qm", "Not pushed yet")
    (project / "README.md").write_text("# Shop\n# idea\n")
    _git(project, "stash", "-q")
    tool("cp", "-a", project, original)
    return Lab(project, original, remote, backup(project, vault))


def sections(page: Path) -> dict[str, list[tuple[str, str]]]:
    """By heading: the C(sh) blocks below it, each with the output that is shown behind it; empty where none is."""
    found: dict[str, list[tuple[str, str]]] = {}
    for part in re.split(r"^#{2,6} ", page.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]:
        blocks = _BLOCK.findall(part)
        pairs = [
            (block, after if kind_after == "text" else "")
            for (kind, block), (kind_after, after) in zip(blocks, [*blocks, ("", "")][1:], strict=True)
            if kind == "sh" and not re.fullmatch(r"(?:(?:VAULT|PROJECT|ID)=\S+\n)+", block)
        ]
        if pairs:
            found[part.partition("\n")[0]] = pairs
    return found


def _spoil_files(lab: Lab) -> None:
    (lab.project / "AI_WORK_LOG.md").unlink()
    (lab.project / "src/app.py").unlink()
    (lab.project / ".env").write_text("SECRET=\n")
    (lab.project / "config/newer.yml").write_text("newer: work\n")


def _check_files(lab: Lab) -> None:
    for name in ("AI_WORK_LOG.md", "src/app.py", "src/app2.py", ".env"):
        tool("cmp", lab.original / name, lab.project / name)
    assert (lab.project / "config/newer.yml").exists()
    _check_directories(lab)


def _check_directories(lab: Lab) -> None:
    for name in (".", "data", "src"):
        one, other = (os.stat(top / name) for top in (lab.original, lab.project))
        assert (one.st_mode, one.st_uid, one.st_gid) == (other.st_mode, other.st_uid, other.st_gid), name


def _spoil_databases(lab: Lab) -> None:
    """A crash leaves a later write-ahead log, which SQLite would play into whatever database stands beside it."""
    (lab.project / "README.md").unlink()
    path = lab.project / "data/shop.db"
    with closing(sqlite3.connect(path)) as database:
        database.execute("PRAGMA wal_autocheckpoint=0")
        database.execute("DELETE FROM orders")
        database.commit()
        for end in ("", "-wal", "-shm"):
            shutil.copy(f"{path}{end}", f"{path}.crashed{end}")
    for end in ("", "-wal", "-shm"):
        os.rename(f"{path}.crashed{end}", f"{path}{end}")
    tool("chown", "-R", "nobody:nogroup", lab.project / "data")


def _check_databases(lab: Lab) -> None:
    tool("cmp", lab.original / "README.md", lab.project / "README.md")
    assert tool("sqlite3", lab.project / "data/shop.db", "SELECT group_concat(item) FROM orders") == b"tea,cup,pot\n"
    assert sorted(os.listdir(lab.project / "data")) == ["shop.db"]
    assert (lab.project / "data/shop.db").stat().st_uid == (lab.original / "data/shop.db").stat().st_uid
    _check_directories(lab)


def _spoil_all(lab: Lab) -> None:
    shutil.rmtree(lab.project / "src")
    (lab.project / "junk.txt").write_text("junk\n")
    _spoil_databases(lab)


def _check_all(lab: Lab) -> None:
    assert (lab.project.parent / "shop.old/junk.txt").exists()
    _check_databases(lab)
    # the bytes of a copied database may differ; its rows are compared above
    tool("diff", "-r", "--no-dereference", "--exclude=shop.db", lab.original, lab.project)
    assert b"user:nobody:r--" in tool("getfacl", "-cp", lab.project / "config/app.yml")
    assert (lab.project / "src/app2.py").samefile(lab.project / "src/app.py")


def _spoil_history(lab: Lab) -> None:
    shutil.rmtree(lab.project)
    _git(lab.project.parent, "clone", "-q", "-b", "main", str(lab.remote), "shop")


def _check_history(lab: Lab) -> None:
    head = ("git", "-C")
    assert tool(*head, lab.project, "rev-parse", "HEAD") == tool(*head, lab.original, "rev-parse", "HEAD")
    assert (lab.project / "README.md").read_text() == "# Shop\n# idea\n"


def _save_and_spoil(lab: Lab) -> None:
    """The project goes on, is saved as a checkpoint, and is lost."""
    (lab.project / "README.md").write_text("# Shop\n# better idea\n")
    (lab.project / "AI_WORK_LOG.md").write_text("log: started, went on\n")
    (lab.project / "config/new\nline").write_text("new\n")
    shutil.rmtree(lab.project / "src")
    (lab.project / "app.yml").unlink()
    with closing(sqlite3.connect(lab.project / "data/shop.db")) as database:
        database.execute("INSERT INTO orders (item) VALUES ('jar')")
        database.commit()
    assert save(BackupSettings(project=str(lab.project), vault=str(lab.vault)))["kind"] == "checkpoint"
    shutil.rmtree(lab.original)
    tool("cp", "-a", lab.project, lab.original)
    for name in ("config", "data"):
        shutil.rmtree(lab.project / name)
    (lab.project / "AI_WORK_LOG.md").write_text("")
    (lab.project / "junk.txt").write_text("junk\n")


def _check_checkpoint(lab: Lab) -> None:
    tool("cmp", lab.original / "AI_WORK_LOG.md", lab.project.parent / "shop.old/AI_WORK_LOG.md")
    left_out = ("--exclude=shop.db", "--exclude=.git", "--exclude=node_modules")
    tool("diff", "-r", "--no-dereference", *left_out, lab.original, lab.project)
    assert (
        tool("sqlite3", lab.project / "data/shop.db", "SELECT group_concat(item) FROM orders") == b"tea,cup,pot,jar\n"
    )


Step = Callable[[Lab], None]
SPOIL: dict[str, Step] = {
    "One file or one directory": _spoil_files,
    "Critical files and databases": _spoil_databases,
    "The whole project": _spoil_all,
    "From a checkpoint": _save_and_spoil,
    "Commits that no remote had": _spoil_history,
}
CHECK: dict[str, Step] = {
    "One file or one directory": _check_files,
    "Critical files and databases": _check_databases,
    "The whole project": _check_all,
    "From a checkpoint": _check_checkpoint,
    "Commits that no remote had": _check_history,
}
RUN = [(page, section) for page in (BY_HAND, FORMAT) for section in sections(page)]


def test_the_sections_that_are_checked_are_there() -> None:
    assert SPOIL.keys() == CHECK.keys() <= {section for _, section in RUN}
    assert "One file, cut out by hand" in sections(FORMAT)


@pytest.mark.parametrize(("page", "section"), RUN, ids=lambda value: value if isinstance(value, str) else value.stem)
def test_the_commands_do_what_the_page_says(page: Path, section: str, lab: Lab) -> None:
    blocks = sections(page)[section]
    SPOIL.get(section, _do_nothing)(lab)
    outputs = lab.run([block for block, _ in blocks])
    CHECK.get(section, _do_nothing)(lab)
    for (block, shown), said in zip(blocks, outputs, strict=True):
        lines = lab.as_shown(said)
        for line in lab.as_shown(shown):
            pattern = ".*".join(re.escape(part.strip()) for part in line.split("…"))
            assert any(re.fullmatch(pattern, other) for other in lines), f"{block}\nshown: {line}\nsaid: {said}"


def _do_nothing(_lab: Lab) -> None:
    """Reading leaves nothing to check but the output."""


@pytest.mark.parametrize("scenario", ["critical", "full"])
def test_the_plain_commands_of_a_plan_restore(scenario: str, lab: Lab) -> None:
    _spoil_databases(lab)
    commands = restore(lab.vault)["commands"][scenario]
    lab.run([f"{command}\n" for command in commands])
    _check_databases(lab)
