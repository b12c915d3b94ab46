# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the copy elsewhere goes: the settings of a person, and the secrets of the environment file.

Secrets stand in one file (C(/etc/cora/backup.env), mode 0600), which is read here by its path: they are in no argument,
no result and no log, and C(repr) hides them.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Optional
from urllib.parse import urlsplit

from .errors import SettingsError
from .names import printable

DEFAULT_ENV_FILE = "/etc/cora/backup.env"
DEFAULT_PREFIX = "prod"
DEFAULT_REGION = "us-east-1"
ADDRESSING = ("auto", "path", "virtual")
#: Services whose certificates and names are known to serve buckets as host names.
_VIRTUAL_HOSTS = (".amazonaws.com", ".digitaloceanspaces.com")
REQUIRED = ("SPACES_ACCESS_KEY", "SPACES_SECRET_KEY", "SPACES_ENDPOINT", "BACKUP_BUCKET")
_OPTIONAL = ("SPACES_REGION", "SPACES_DELETE_ACCESS_KEY", "SPACES_DELETE_SECRET_KEY")
_LINE = re.compile(r"(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)=(.*)")
_PREFIX = re.compile(r"[A-Za-z0-9_.-]+(/[A-Za-z0-9_.-]+)*")
_LONGEST_PREFIX = 120
_OTHERS_CAN_READ = 0o077
_LARGEST_FILE_BYTES = 65536


@dataclass(frozen=True)
class Credentials:
    """A key of the service."""

    access_key: str
    secret_key: str = field(repr=False)


@dataclass(frozen=True)
class OffsiteSettings:
    """The service, the place in it, and how to get there.

    :param endpoint: URL of the service
    :param prefix: what all keys begin with; hosts that share a bucket have one each
    :param delete_credentials: the key that may delete; None where this machine has none
    :param ca_bundle: file of certificates to trust instead of the system's
    :param proxy: URL of a proxy; None: what the environment says
    :param addressing: C(path) for C(host/bucket), C(virtual) for C(bucket.host), C(auto) by the service
    :param bytes_per_second: at most so fast, all connections together; 0 for as fast as it goes
    :param storage_class: of the objects; None: what the service takes
    :param encrypt_to: age recipients; with any, nothing leaves this machine unencrypted
    :param identity_file: age identity, to read what was encrypted
    :param connections: how many requests at a time
    """

    endpoint: str
    region: str
    bucket: str
    prefix: str = DEFAULT_PREFIX
    credentials: Credentials = field(default_factory=lambda: Credentials("", ""), repr=False)
    delete_credentials: Optional[Credentials] = field(default=None, repr=False)
    ca_bundle: Optional[str] = None
    proxy: Optional[str] = field(default=None, repr=False)
    addressing: str = "auto"
    bytes_per_second: int = 0
    storage_class: Optional[str] = None
    encrypt_to: tuple[str, ...] = ()
    identity_file: Optional[str] = None
    connections: int = 8

    def __post_init__(self) -> None:
        _check_endpoint(self.endpoint)
        if not _PREFIX.fullmatch(self.prefix) or len(self.prefix) > _LONGEST_PREFIX:
            raise SettingsError(
                f"The offsite prefix {printable(self.prefix)!r} must be letters, digits, '-', '_', '.' and '/' inside."
            )
        if {".", ".."} & set(self.prefix.split("/")):
            raise SettingsError("The offsite prefix cannot hold '.' or '..' as a part.")
        if self.addressing not in ADDRESSING:
            raise SettingsError(f"addressing is one of {', '.join(ADDRESSING)}, not {self.addressing!r}.")
        if self.bytes_per_second < 0 or self.connections < 1:
            raise SettingsError("bytes_per_second cannot be negative, and connections is at least 1.")
        if self.ca_bundle is not None and not os.path.isfile(self.ca_bundle):
            raise SettingsError(f"The CA bundle {printable(self.ca_bundle)} is no file.")

    @property
    def place(self) -> str:
        """For people: what is meant, without secrets."""
        return f"{self.bucket}/{self.prefix} at {self.endpoint}"

    @property
    def style(self) -> str:
        """C(path) or C(virtual), decided."""
        if self.addressing != "auto":
            return self.addressing
        host = urlsplit(self.endpoint).hostname or ""
        return "virtual" if host.endswith(_VIRTUAL_HOSTS) and "." not in self.bucket else "path"


def read_offsite_settings(env_file: Optional[str] = None, **options: Any) -> OffsiteSettings:
    """The settings: secrets and place from the file (or, where it is absent, from the environment), the rest as given.

    :param options: fields of :class:`OffsiteSettings`; None counts as left out
    :raises SettingsError: when something is missing or wrong
    """
    path = env_file or DEFAULT_ENV_FILE
    values = read_env_file(path)
    source = printable(path)
    if values is None:
        values, source = os.environ, f"{printable(path)}, which does not exist, nor in the environment"
    missing = [name for name in REQUIRED if not values.get(name)]
    if missing:
        raise SettingsError(
            f"{', '.join(missing)} not found in {source}. Write them there, one NAME=value a line, mode 0600."
        )
    endpoint = values["SPACES_ENDPOINT"].rstrip("/")
    if "://" not in endpoint:
        endpoint = "https://" + endpoint
    return OffsiteSettings(
        endpoint=endpoint,
        region=values.get("SPACES_REGION") or region_of(endpoint),
        bucket=values["BACKUP_BUCKET"],
        credentials=Credentials(values["SPACES_ACCESS_KEY"], values["SPACES_SECRET_KEY"]),
        delete_credentials=_delete_credentials(values, source),
        **{name: value for name, value in options.items() if value is not None},
    )


def _delete_credentials(values: Mapping[str, str], source: str) -> Optional[Credentials]:
    access_key, secret_key = (values.get(name) for name in _OPTIONAL[1:])
    if bool(access_key) != bool(secret_key):
        raise SettingsError(f"Of {_OPTIONAL[1]} and {_OPTIONAL[2]} only one is in {source}.")
    return Credentials(access_key, secret_key) if access_key and secret_key else None


def read_env_file(path: str) -> Optional[Mapping[str, str]]:
    """The lines C(NAME=value) of a file; None where there is none.

    :raises SettingsError: when it cannot be read, others can read it, or a line is something else
    """
    try:
        with open(path, "rb") as stream:
            found = os.fstat(stream.fileno())
            _check_private(path, found)
            text = stream.read(_LARGEST_FILE_BYTES).decode("utf-8")
    except FileNotFoundError:
        return None
    except OSError as error:
        raise SettingsError(f"{printable(path)} cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise SettingsError(f"{printable(path)} is not UTF-8 text.") from error
    return _parse(path, text)


def _check_private(path: str, found: os.stat_result) -> None:
    if not stat.S_ISREG(found.st_mode):
        raise SettingsError(f"{printable(path)} is not a regular file.")
    if found.st_uid not in (0, os.geteuid()):
        raise SettingsError(
            f"{printable(path)} belongs to user {found.st_uid}, who could change it: chown root {printable(path)}."
        )
    if stat.S_IMODE(found.st_mode) & _OTHERS_CAN_READ:
        raise SettingsError(f"Others can read {printable(path)}, which holds keys: chmod 600 {printable(path)}.")


def _parse(path: str, text: str) -> Mapping[str, str]:
    values: dict[str, str] = {}
    for number, line in enumerate(text.splitlines(), 1):
        line = line.strip()
        if not line or line.startswith("#"):
            continue
        match = _LINE.fullmatch(line)
        if match is None:
            # the line itself may be a secret
            raise SettingsError(f"Line {number} of {printable(path)} is not NAME=value.")
        values[match.group(1)] = _unquoted(match.group(2).strip())
    return values


def _unquoted(value: str) -> str:
    if len(value) >= 2 and value[0] == value[-1] and value[0] in "'\"":
        return value[1:-1]
    return value


def _check_endpoint(endpoint: str) -> None:
    parts = urlsplit(endpoint)
    if parts.scheme not in ("https", "http") or not parts.hostname or parts.path.strip("/") or parts.query:
        raise SettingsError(
            "SPACES_ENDPOINT must be the address of the service alone, such as https://nyc3.digitaloceanspaces.com; "
            "the bucket has its own name, BACKUP_BUCKET."
        )
    if parts.username or parts.password:
        raise SettingsError("SPACES_ENDPOINT must hold no user name and no password.")


def region_of(endpoint: str) -> str:
    """The region that an address names: C(nyc3.digitaloceanspaces.com), C(s3.eu-central-1.amazonaws.com)."""
    host = urlsplit(endpoint).hostname or ""
    words = host.split(".")
    if host.endswith(".digitaloceanspaces.com"):
        return words[-3]
    if words[0] == "s3" and len(words) == 4:
        return words[1]
    return DEFAULT_REGION
