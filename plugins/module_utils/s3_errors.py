# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the service or the way to it answers, in sentences a person can act on; the only place that knows botocore's
errors."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from .errors import (
    OffsiteClockError,
    OffsiteCredentialsError,
    OffsiteError,
    OffsiteMissingError,
    OffsiteNetworkError,
    OffsitePermissionError,
    OffsiteQuotaError,
    OffsiteRegionError,
    OffsiteThrottledError,
    OffsiteTlsError,
    OffsiteUnsupportedError,
)
from .names import printable

_KEYS = "Check SPACES_ACCESS_KEY and SPACES_SECRET_KEY in the environment file."
#: A connection that ended, which TLS calls a breach of its protocol.
_ENDED_TLS = (ssl.SSLEOFError, ssl.SSLZeroReturnError, ssl.SSLSyscallError, ConnectionError)
_PARTS = "The service did not put the parts together. The next run sends them anew."
#: The code of an answer: which error it is, and what to do.
_CODES: dict[str, tuple[type[OffsiteError], str]] = {
    "InvalidAccessKeyId": (OffsiteCredentialsError, f"The service does not know the access key. {_KEYS}"),
    "SignatureDoesNotMatch": (
        OffsiteCredentialsError,
        f"The secret key does not belong to the access key. {_KEYS}",
    ),
    "InvalidToken": (OffsiteCredentialsError, f"The service does not accept the key. {_KEYS}"),
    "ExpiredToken": (OffsiteCredentialsError, f"The key has expired. {_KEYS}"),
    "UserSuspended": (OffsiteCredentialsError, "The account of this key is suspended: ask who runs the service."),
    "AccessDenied": (OffsitePermissionError, "This key may not do that: see its rights, and the policy of the bucket."),
    "AllAccessDisabled": (OffsitePermissionError, "The bucket is closed: ask who runs the service."),
    "AccountProblem": (OffsitePermissionError, "The account has a problem: see the service's control panel."),
    "InvalidObjectState": (OffsitePermissionError, "The object is in an archive class: restore it there first."),
    "ObjectLocked": (OffsitePermissionError, "Object lock holds it until its date."),
    "NoSuchBucket": (
        OffsiteMissingError,
        "There is no such bucket. Check BACKUP_BUCKET and SPACES_ENDPOINT in the environment file, or make the bucket.",
    ),
    "NoSuchKey": (OffsiteMissingError, "There is no such object."),
    "NoSuchVersion": (OffsiteMissingError, "There is no such version of the object."),
    "NoSuchUpload": (OffsiteMissingError, "The unfinished upload is gone: the next run begins it anew."),
    "PermanentRedirect": (OffsiteRegionError, "The bucket is elsewhere: SPACES_ENDPOINT must be that of its region."),
    "AuthorizationHeaderMalformed": (OffsiteRegionError, "Set SPACES_REGION to the region of the bucket."),
    "IllegalLocationConstraintException": (OffsiteRegionError, "Set SPACES_REGION to the region of the bucket."),
    "InvalidRegion": (OffsiteRegionError, "Set SPACES_REGION to the region of the bucket."),
    "RequestTimeTooSkewed": (
        OffsiteClockError,
        "The clock of this machine differs from that of the service. Set it: timedatectl set-ntp true.",
    ),
    "RequestExpired": (
        OffsiteClockError,
        "The clock of this machine differs from that of the service. Set it: timedatectl set-ntp true.",
    ),
    "QuotaExceeded": (
        OffsiteQuotaError,
        "The quota is used up. Raise it, or remove old backups there: cora offsite prune.",
    ),
    "EntityTooLarge": (OffsiteUnsupportedError, "The object is larger than the service takes."),
    "InvalidStorageClass": (
        OffsiteUnsupportedError,
        "The service has no such storage class (cora_offsite_storage_class).",
    ),
    "InvalidArgument": (
        OffsiteUnsupportedError,
        "The service does not accept the request. Where cora_offsite_storage_class is set, it may have no such "
        "storage class.",
    ),
    "InvalidPart": (OffsiteUnsupportedError, _PARTS),
    "InvalidPartOrder": (OffsiteUnsupportedError, _PARTS),
    "EntityTooSmall": (OffsiteUnsupportedError, _PARTS),
    "NotImplemented": (OffsiteUnsupportedError, "The service cannot do that."),
    "MethodNotAllowed": (OffsiteUnsupportedError, "The service does not allow that."),
    "BadDigest": (OffsiteNetworkError, "The bytes changed on their way. The next run sends them again."),
    "InvalidDigest": (OffsiteNetworkError, "The bytes changed on their way. The next run sends them again."),
    "XAmzContentSHA256Mismatch": (
        OffsiteNetworkError,
        "The bytes changed on their way. The next run sends them again.",
    ),
}
_THROTTLED = (
    "SlowDown",
    "Throttling",
    "ThrottlingException",
    "RequestLimitExceeded",
    "TooManyRequests",
    "BandwidthLimitExceeded",
)
#: Answers without a body (to HEAD) have only the number.
_STATUS = {
    "301": "PermanentRedirect",
    "401": "InvalidAccessKeyId",
    "403": "AccessDenied",
    "404": "NoSuchKey",
    "405": "MethodNotAllowed",
    "429": "SlowDown",
    "501": "NotImplemented",
    "503": "SlowDown",
}


@contextmanager
def translated(action: str, place: str) -> Iterator[None]:
    """Turn what goes wrong inside into an :class:`OffsiteError`.

    :param action: a verb, as in "Could not upload …"
    :param place: what it was done to
    :raises OffsiteError: one of its kinds
    """
    try:
        from boto3.exceptions import Boto3Error
        from botocore.exceptions import BotoCoreError, ClientError
        from urllib3.exceptions import HTTPError
    except ImportError as error:
        raise OffsiteError("The Python package boto3 is missing here.") from error
    try:
        yield
    except ClientError as error:
        kind, advice = _meaning(error)
        raised = kind(f"Could not {action} {printable(place)}: {advice}")
        raised.code = code_of(error)
        raise raised from error
    except (BotoCoreError, Boto3Error, HTTPError) as error:
        kind, advice = _meaning_of_failure(error)
        raise kind(f"Could not {action} {printable(place)}: {advice}") from error


def code_of(error: Any) -> str:
    """The code of a ClientError; for one without a body what its status means."""
    code = str(error.response.get("Error", {}).get("Code", ""))
    return _STATUS.get(code, code)


def status_of(error: Any) -> int:
    """The HTTP status of a ClientError."""
    return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))


def _meaning(error: Any) -> tuple[type[OffsiteError], str]:
    code, status = code_of(error), status_of(error)
    if code in _CODES:
        return _CODES[code]
    if code in _THROTTLED or status == 503:
        return OffsiteThrottledError, (
            f"The service asked to slow down ({code}), and went on so while this run waited. The next run goes on "
            "where this one stopped; fewer connections or cora_offsite_bytes_per_second may help."
        )
    text = printable(str(error.response.get("Error", {}).get("Message") or ""))[:300]
    if status == 403:
        return OffsitePermissionError, f"The service refused it ({code}). {text}".strip()
    if status >= 500:
        return OffsiteNetworkError, f"The service failed ({status} {code}). The next run tries again. {text}".strip()
    return OffsiteError, f"The service answered {status} {printable(code)}. {text}".strip()


def _meaning_of_failure(error: Exception) -> tuple[type[OffsiteError], str]:
    from botocore import exceptions as botocore_errors
    from urllib3.exceptions import HTTPError

    inner = _innermost(error)
    reason = printable(_words_of(inner))[:300]
    if isinstance(error, botocore_errors.SSLError) and not isinstance(inner, _ENDED_TLS):
        return OffsiteTlsError, (
            f"The certificate of the service is not trusted, or the connection is not TLS ({reason}). For an authority "
            "of your own name its certificate with cora_offsite_ca_bundle; never switch the check off."
        )
    if isinstance(error, botocore_errors.ProxyConnectionError):
        return OffsiteNetworkError, "The proxy cannot be reached: see cora_offsite_proxy."
    if isinstance(error, (botocore_errors.ConnectTimeoutError, botocore_errors.ReadTimeoutError)):
        return OffsiteNetworkError, "The service did not answer in time. The next run goes on where this one stopped."
    if isinstance(error, botocore_errors.EndpointConnectionError):
        return OffsiteNetworkError, (
            f"The service cannot be reached ({reason}). Check SPACES_ENDPOINT, the name server and the firewall."
        )
    broken = (
        botocore_errors.HTTPClientError,
        botocore_errors.IncompleteReadError,
        botocore_errors.ConnectionError,  # an SSLError that gets here: the connection was cut in the handshake
        HTTPError,  # of urllib3, which botocore lets pass: TLS failed in the middle of an answer's body
    )
    if isinstance(error, broken):
        return OffsiteNetworkError, f"The connection broke ({reason}). The next run goes on where this one stopped."
    return OffsiteError, reason


def _innermost(error: BaseException) -> BaseException:
    """The first cause: what wraps it repeats addresses and headers."""
    for _depth in range(10):
        arguments = [getattr(error, "reason", None), getattr(error, "kwargs", {}).get("error"), *error.args[-1:]]
        causes = [cause for cause in arguments if isinstance(cause, BaseException)]
        if not causes:
            break
        error = causes[0]
    return error


def _words_of(error: BaseException) -> str:
    if isinstance(error, OSError) and error.strerror:
        return str(error.strerror)
    return str(error).rpartition("Failed to establish a new connection: ")[2]
