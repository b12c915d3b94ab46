# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The client of the service: boto3, told to rely on nothing that the environment or another program configured."""

from __future__ import annotations

import os
import ssl
from dataclasses import dataclass
from typing import Any, Optional, Union

from .errors import OffsiteError, OffsitePermissionError
from .offsite_settings import Credentials, OffsiteSettings

_CONNECT_SECONDS = 10
_READ_SECONDS = 60
_ATTEMPTS = 8


@dataclass(frozen=True)
class S3:
    """A bucket, and the client that reaches it.

    :param client: boto3's, for any number of threads
    """

    client: Any
    settings: OffsiteSettings

    @property
    def bucket(self) -> str:
        """Its name."""
        return self.settings.bucket

    @property
    def prefix(self) -> str:
        """What the keys of all backups begin with, without a slash at its end."""
        return self.settings.prefix


def connect(settings: OffsiteSettings, *, credentials: Optional[Credentials] = None, attempts: int = 0) -> S3:
    """A client; nothing is sent yet.

    :param credentials: others than those of the settings
    :param attempts: how often a request is tried, the first one included; 0: as often as is good
    :raises OffsiteError: when boto3 is missing
    """
    try:
        import boto3
        import botocore.session
        from botocore.config import Config
    except ImportError as error:
        raise OffsiteError(
            "The Python package boto3, which talks to the service, is missing here. "
            "Install it (Debian: apt-get install python3-boto3), or run: pip install boto3."
        ) from error
    chosen = credentials or settings.credentials
    # profiles and files of other programs (and a profile that does not exist) are none of our business
    isolated = botocore.session.Session(
        session_vars={
            "profile": (None, None, None, None),
            "config_file": (None, None, os.devnull, None),
            "credentials_file": (None, None, os.devnull, None),
        }
    )
    options: dict[str, Any] = {
        "signature_version": "s3v4",
        "s3": {"addressing_style": settings.style, "payload_signing_enabled": True},
        "retries": {"mode": "standard", "total_max_attempts": attempts or _ATTEMPTS},
        "connect_timeout": _CONNECT_SECONDS,
        "read_timeout": _READ_SECONDS,
        "max_pool_connections": settings.connections + 2,
        "tcp_keepalive": True,
        # Ceph, and so Spaces, refuses the trailing checksums that newer versions send over TLS
        "request_checksum_calculation": "when_required",
        "response_checksum_validation": "when_required",
    }
    if settings.proxy:
        options["proxies"] = {"http": settings.proxy, "https": settings.proxy}
    client = boto3.session.Session(botocore_session=isolated).client(
        "s3",
        region_name=settings.region,
        endpoint_url=settings.endpoint,
        aws_access_key_id=chosen.access_key,
        aws_secret_access_key=chosen.secret_key,
        verify=settings.ca_bundle or os.environ.get("AWS_CA_BUNDLE") or _system_certificates(),
        config=Config(**options),
    )
    return S3(client=client, settings=settings)


def _system_certificates() -> Union[str, bool]:
    """What this machine trusts, as C(update-ca-certificates) made it; where there is none, what boto3 brings."""
    return ssl.get_default_verify_paths().cafile or True


def deleting_credentials(settings: OffsiteSettings) -> Credentials:
    """The key that may delete.

    :raises OffsitePermissionError: when this machine has none
    """
    if settings.delete_credentials is None:
        raise OffsitePermissionError(
            "Deleting in the bucket has a key of its own, and none is here: put SPACES_DELETE_ACCESS_KEY and "
            "SPACES_DELETE_SECRET_KEY into the environment file of the machine that shall prune."
        )
    return settings.delete_credentials
