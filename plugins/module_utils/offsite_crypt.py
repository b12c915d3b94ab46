# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Encryption of what leaves the machine, by the program C(age): recipients are public, the identity stays at home.

What encrypts needs only the recipients, so a server can send backups away that it cannot read back. Each object is a
file of its own, C(<path>.age): C(age --decrypt --identity FILE) is all that a person needs, without cora.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Sequence

from . import durable
from .errors import CoraError, IntegrityError, NotFoundError, ProgramError, SettingsError
from .names import printable
from .programs import find_program, run

_AGE, _KEYGEN = "age", "age-keygen"
#: The kinds that age itself knows. SSH keys work too, but are hard to print on paper and type in again.
_RECIPIENT = re.compile(r"age1[02-9ac-hj-np-z]{58}")
_READABLE_BY_OTHERS = 0o077
#: Nobody waits that long; it only ends what hangs.
_SLOWEST_SECONDS = 24 * 3600.0


def check_recipients(recipients: Sequence[str]) -> None:
    """Whether files can be encrypted to these; asked before anything is sent.

    :raises SettingsError: when there is none, or one is no recipient
    :raises CoraError: when C(age) is not installed
    """
    if not recipients:
        raise SettingsError(
            "Encryption was asked for and there is nobody to encrypt to, so nothing is sent. "
            "Make a key (cora offsite key) and put its public half into cora_offsite_encrypt_to."
        )
    for recipient in recipients:
        if recipient.upper().startswith("AGE-SECRET-KEY-"):
            raise SettingsError(
                "cora_offsite_encrypt_to holds a secret key, so nothing is sent. Put the public one there (age1…), and "
                "make a new key pair: this one has been where it does not belong."
            )
        if not _RECIPIENT.fullmatch(recipient):
            raise SettingsError(
                f"{printable(recipient)!r} in cora_offsite_encrypt_to is no recipient of age, so nothing is sent. "
                "One looks like age1… and has 62 characters; cora offsite key makes one."
            )
    _check_program(_AGE)


def check_identity(identity_file: str | None) -> str:
    """The identity file, if it can be used and nobody else can read it.

    :raises CoraError: when it cannot
    """
    if not identity_file:
        raise SettingsError(
            "This backup is encrypted: name the file with the secret key (cora_offsite_identity_file). "
            "The recovery sheet tells what stands in it."
        )
    try:
        status = os.stat(identity_file)
    except OSError as error:
        raise SettingsError(
            f"The secret key {printable(identity_file)} cannot be read: {error.strerror}. Type it in again from the "
            "recovery sheet, into a file of mode 0600 (cora_offsite_identity_file)."
        ) from error
    if status.st_uid not in (0, os.geteuid()) or stat.S_IMODE(status.st_mode) & _READABLE_BY_OTHERS:
        raise SettingsError(
            f"The secret key {printable(identity_file)} can be read by others (owner {status.st_uid}, mode "
            f"{stat.S_IMODE(status.st_mode):04o}): chown it to yourself and chmod 0600."
        )
    _check_program(_AGE)
    return identity_file


def encrypt_file(source: str, target: str, recipients: Sequence[str]) -> None:
    """Encrypt a file; C(target) is new, and on disk when this returns.

    :raises CoraError: when it cannot be done; then there is no C(target)
    """
    words = [word for recipient in recipients for word in ("--recipient", recipient)]
    _into_new_file([_AGE, "--encrypt", *words, "--output", target, source], target)


def decrypt_file(source: str, target: str, identity_file: str) -> None:
    """Decrypt a file; C(target) is new, and on disk when this returns.

    :raises NotFoundError: when it was encrypted to somebody else
    :raises IntegrityError: when it is damaged
    """
    try:
        _into_new_file([_AGE, "--decrypt", "--identity", identity_file, "--output", target, source], target)
    except ProgramError as error:
        if "no identity matched" in error.stderr:
            raise NotFoundError(
                f"The secret key {printable(identity_file)} does not open {printable(os.path.basename(source))}: it "
                "was encrypted to another one. The recovery sheets name the public half of each."
            ) from error
        if "no space left" in error.stderr.lower():
            raise
        raise IntegrityError(f"{printable(os.path.basename(source))} cannot be decrypted: {error.stderr}") from error


def make_key(path: str) -> str:
    """Make a key pair; the secret half goes to a new file of mode 0600.

    :returns: the public half
    :raises CoraError: when it cannot be made, or the file is there already
    """
    _check_program(_KEYGEN)
    if os.path.lexists(path):
        raise SettingsError(
            f"{printable(path)} is there already. A key is never overwritten: without it, what was encrypted to it is "
            "lost. Name another file."
        )
    durable.make_directories(os.path.dirname(os.path.abspath(path)))
    durable.write_file(path, run([_KEYGEN]).stdout)
    return recipient_of(path)


def recipient_of(identity_file: str) -> str:
    """The public half of a key.

    :raises ProgramError: when the file holds none
    """
    return run([_KEYGEN, "-y", identity_file]).stdout.decode("ascii", "replace").strip()


def recovery_sheet(identity_file: str, *, where: str) -> str:
    """What to print and put away: the key, and how to use it where nothing is left but this sheet.

    :param where: which backups it opens
    """
    with open(identity_file, encoding="ascii") as stream:
        secret = next(line.strip() for line in stream if line.startswith("AGE-SECRET-KEY-"))
    return _SHEET.format(where=where, recipient=recipient_of(identity_file), secret=secret)


_SHEET = """\
RECOVERY SHEET: encrypted backups of cora
Print this, put it where the server is not, and delete every copy on a disk that others can read.
Whoever has this key reads the backups. Without it nobody does, and nobody can help.

Backups:     {where}
Public key:  {recipient}
Secret key:  {secret}

To use it: write the line that begins with AGE-SECRET-KEY-1 into a file key.txt (chmod 600), then
  age --decrypt --identity key.txt --output FILE FILE.age
or set cora_offsite_identity_file to its path, and let cora restore do it.
age is a package of Debian and Ubuntu; everywhere else: https://age-encryption.org
"""


def _check_program(name: str) -> None:
    if find_program(name) is None:
        raise CoraError(f"The program {name} is missing, and encryption was asked for: apt-get install age.")


def _into_new_file(argv: Sequence[str], target: str) -> None:
    if os.path.lexists(target):
        os.unlink(target)
    durable.write_file(target, b"")  # so that it is nobody else's from its first byte on
    try:
        run(argv, timeout_seconds=_SLOWEST_SECONDS)
        durable.sync_file(target)
    except BaseException:
        if os.path.lexists(target):
            os.unlink(target)
        raise
