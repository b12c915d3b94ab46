# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Completion for bash, as a static file: verbs, options, directories. Completing costs no start of Python."""

from __future__ import annotations

import argparse
from argparse import ArgumentParser
from collections.abc import Iterator

_SCRIPT = """\
# Completion of cora for bash. Written by `cora completion`.
_cora() {{
  local word path='' words current=${{COMP_WORDS[COMP_CWORD]}} previous=${{COMP_WORDS[COMP_CWORD-1]}}
  case $previous in
    --project | --vault) mapfile -t COMPREPLY < <(compgen -d -- "$current"); return ;;
    --file | -e) mapfile -t COMPREPLY < <(compgen -f -- "$current"); return ;;
  esac
  for word in "${{COMP_WORDS[@]:1:COMP_CWORD-1}}"; do
    case "$path/$word" in
      {verbs}) path=$path/$word ;;
    esac
  done
  case $path in
{cases}
  esac
  mapfile -t COMPREPLY < <(compgen -W "$words" -- "$current")
}}
complete -F _cora cora
"""


def bash_completion(parser: ArgumentParser) -> str:
    """The file that bash reads.

    :param parser: the whole command line
    """
    places = list(_places(parser, ""))
    cases = [f"    {path or chr(39) * 2}) words='{' '.join(words)}' ;;" for path, words in places]
    return _SCRIPT.format(verbs=" | ".join(path for path, _words in places if path), cases="\n".join(cases))


def _places(parser: ArgumentParser, path: str) -> Iterator[tuple[str, list[str]]]:
    """Each verb, with the words that can follow it."""
    words: list[str] = []
    inner: dict[str, ArgumentParser] = {}
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            inner.update(action.choices)
        elif action.option_strings:
            words += [option for option in action.option_strings if option.startswith("--") or option == "-e"]
        elif action.dest == "id":
            words.append("latest")
        elif action.choices:
            words += [str(choice) for choice in action.choices]
    yield path, [*inner, *words]
    for name, choice in inner.items():
        yield from _places(choice, f"{path}/{name}")
