# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""C(cora pin) and C(cora tag)."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Callable

from ..context import Context
from ..errors import DONE
from ..registry import Verb
from ..which_backup import resolve

#: A prune or a backup may hold the vault; it is worth waiting for a moment.
_WAIT_SECONDS = 60.0


def configure_pin(parser: ArgumentParser) -> None:
    """Own options of C(pin)."""
    parser.add_argument("id", metavar="ID", help="latest, an id, or the beginning of one")
    parser.add_argument("--off", action="store_true", help="take the pin off")


def configure_tag(parser: ArgumentParser) -> None:
    """Own options of C(tag)."""
    parser.add_argument("id", metavar="ID", help="latest, an id, or the beginning of one")
    parser.add_argument("name", metavar="NAME", help="letters, digits, dots, hyphens, underscores")
    parser.add_argument("--off", action="store_true", help="take the tag away")


def pin(context: Context, options: Namespace) -> int:
    """Pin a backup, or take its pin off."""
    from ansible_collections.cora.backup.plugins.module_utils import marks

    said = "is not pinned" if options.off else "is pinned: nothing removes it until cora pin --off"
    return _mark(
        context, options, lambda vault, state_id: marks.set_pin(vault, state_id, on=not options.off), lambda _tags: said
    )


def tag(context: Context, options: Namespace) -> int:
    """Give a backup a tag, or take it away."""
    from ansible_collections.cora.backup.plugins.module_utils import marks

    return _mark(
        context,
        options,
        lambda vault, state_id: marks.set_tag(vault, state_id, options.name, on=not options.off),
        lambda tags: f"has the tags: {', '.join(tags)}" if tags else "has no tag",
    )


def _mark(
    context: Context, options: Namespace, change: Callable[..., bool], describe: Callable[[list[str]], str]
) -> int:
    from ansible_collections.cora.backup.plugins.module_utils import marks
    from ansible_collections.cora.backup.plugins.module_utils.vault import Vault

    vault = Vault(context.vault)
    resolve(context, options.id)  # where there is no vault, this says so
    with vault.lock(_WAIT_SECONDS):
        state_id = resolve(context, options.id)
        changed = change(vault, state_id)
    tags = marks.tags_of(vault, state_id)
    context.output.document(
        {"changed": changed, "id": state_id, "pinned": marks.is_pinned(vault, state_id), "tags": tags}
    )
    context.output.say(f"{state_id} {describe(tags)}.")
    return DONE


VERBS = (
    Verb(
        names=("pin",),
        help="keep a backup or checkpoint whatever the rules say",
        run=pin,
        configure=configure_pin,
        description="Keep a backup or checkpoint, whatever the rules of cora prune say, until its pin is taken off.",
        examples=("cora pin latest", "cora pin 20261124-0330", "cora pin --off 20261124-0330"),
        order=61,
    ),
    Verb(
        names=("tag",),
        help="give a backup or checkpoint a name of your own",
        run=tag,
        configure=configure_tag,
        description="Give a backup or checkpoint a tag. The setting cora_keep_tags names the tags that keep it.",
        examples=("cora tag latest before-migration", "cora tag latest before-migration --off"),
        order=62,
    ),
)
