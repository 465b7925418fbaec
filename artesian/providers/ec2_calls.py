"""Calls of EC2, and what its errors mean: to be asked again, or a no in words that say what to do.

Nothing that EC2 says about credentials is passed on, as it may repeat parts of the signed request.
"""

from __future__ import annotations

import logging
import re
import threading
from typing import Any

import boto3
import botocore.exceptions as boto
from botocore.config import Config
from botocore.parsers import ResponseParserError

from artesian.model.errors import ArtesianError
from artesian.providers.ebs_settings import EbsSettings
from artesian.providers.port import ProviderRefused, ProviderUnreachable

_ATTEMPTS = 2  # the pass that asks comes back soon anyway, and must not be held up
_MAX_MESSAGE = 300
_THROTTLED = frozenset(
    {"RequestLimitExceeded", "Throttling", "ThrottlingException", "RequestThrottled", "EC2ThrottledException",
     "SnapshotCreationPerVolumeRateExceeded", "ConcurrentTagAccess"}
)  # fmt: skip
_CREDENTIALS = frozenset(
    {"AuthFailure", "ExpiredToken", "ExpiredTokenException", "RequestExpired", "InvalidClientTokenId",
     "InvalidAccessKeyId", "SignatureDoesNotMatch", "UnrecognizedClientException", "IncompleteSignature",
     "MissingAuthenticationToken", "Blocked", "OptInRequired", "PendingVerification"}
)  # fmt: skip
_PERMISSION = frozenset({"UnauthorizedOperation", "AccessDenied", "AccessDeniedException"})
_WORDS = {
    "VolumeLimitExceeded": "the account's quota for volumes of this type in {region} is used up: "
    "have it raised, or release volumes",
    "MaxIOPSLimitExceeded": "the account's quota for iops in {region} is used up: "
    "have it raised, or ask for fewer",
    "InsufficientVolumeCapacity": "EC2 has no room for such a volume in this zone now: "
    "another type or zone may do",
    "AttachmentLimitExceeded": "the instance has as many volumes as it can: set max_attachments lower",
    "InvalidVolume.ZoneMismatch": "the volume and the instance are in different zones",
    "UnknownVolumeType.InvalidParameterValue": "there are no volumes of this type in {region}",
}
_SERVER = ("Internal", "Unavailable", "ServiceUnavailable", "Timeout")
_ERRORS = (boto.BotoCoreError, boto.ClientError, ResponseParserError)
_NO_CREDENTIALS = (
    boto.NoCredentialsError,
    boto.PartialCredentialsError,
    boto.CredentialRetrievalError,
    boto.ProfileNotFound,
    boto.NoAuthTokenError,
    boto.TokenRetrievalError,
    boto.SSOError,
    boto.LoginError,
)


class Ec2Refused(ProviderRefused):
    """EC2 says no to a call; `code` is its own word for why."""

    def __init__(self, message: str, code: str, *, for_this_thing: bool) -> None:
        """`for_this_thing`: it is about what was asked for, not about who asks."""
        super().__init__(message)
        self.code = code
        self.for_this_thing = for_this_thing


class Ec2Calls:
    """The EC2 API of one region and account. Every call ends within seconds. Safe to share by threads."""

    def __init__(self, settings: EbsSettings) -> None:
        """Nothing is asked or read yet."""
        self._settings = settings
        self._lock = threading.Lock()
        self._client: Any = None

    def call(self, operation: str, **parameters: Any) -> dict[str, Any]:
        """One call, by boto3's name for it. Raises Ec2Refused or ProviderUnreachable."""
        try:
            answer: dict[str, Any] = getattr(self._connected(), operation)(**parameters)
        except _ERRORS as error:
            raise self._in_words(operation, error) from None
        self._check(answer)
        return answer

    def listing(self, operation: str, key: str, **parameters: Any) -> list[dict[str, Any]]:
        """All pages of a listing, put together. Raises as `call` does."""
        try:
            pages = list(self._connected().get_paginator(operation).paginate(**parameters))
        except _ERRORS as error:
            raise self._in_words(operation, error) from None
        for page in pages:
            self._check(page)
        return [item for page in pages for item in page.get(key, ())]

    def _check(self, answer: dict[str, Any]) -> None:
        """Some proxy's page would otherwise be taken for a listing with nothing in it."""
        if not answer.get("ResponseMetadata", {}).get("RequestId"):
            raise ProviderUnreachable(
                f"what answers for EC2 in {self._settings.shown_region} does not speak its language"
            )

    def _connected(self) -> Any:
        with self._lock:
            if self._client is None:
                # These show signed requests, session tokens included, when everything is logged.
                logging.getLogger("botocore").setLevel(logging.INFO)
                settings = self._settings
                session = boto3.Session(profile_name=settings.profile, region_name=settings.region)
                config = Config(
                    connect_timeout=settings.call_timeout_s,
                    read_timeout=settings.call_timeout_s,
                    retries={"mode": "standard", "total_max_attempts": _ATTEMPTS},
                )
                try:
                    self._client = session.client("ec2", endpoint_url=settings.endpoint_url, config=config)
                except boto.BotoCoreError:
                    raise
                except ValueError as error:  # of an endpoint alone; what it says repeats nothing else
                    words = f"EC2 cannot be reached by this endpoint: {_shortened(error)}"
                    raise Ec2Refused(words, "InvalidEndpoint", for_this_thing=False) from None
            return self._client

    def _forget_client(self) -> None:
        with self._lock:
            self._client = None

    def _in_words(self, operation: str, error: Exception) -> ArtesianError:
        action = "".join(word.capitalize() for word in operation.split("_"))
        if isinstance(error, _NO_CREDENTIALS):
            kind = type(error).__name__
            return Ec2Refused(self._no_credentials(kind), kind, for_this_thing=False)
        if isinstance(error, boto.NoRegionError):
            words = "EC2 has no region: set one, or give the profile one"
            return Ec2Refused(words, "NoRegion", for_this_thing=False)
        if isinstance(error, boto.InvalidRegionError):
            words = f"{self._settings.region!r} is no region: those are called as eu-central-1 is"
            return Ec2Refused(words, "InvalidRegion", for_this_thing=False)
        if not isinstance(error, boto.ClientError):
            return ProviderUnreachable(
                f"EC2 in {self._settings.shown_region} does not answer: {_shortened(error)}"
            )
        code = str(error.response.get("Error", {}).get("Code", ""))
        status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
        if code in _THROTTLED:
            return ProviderUnreachable(f"EC2 takes no more calls for now ({code})")
        if status >= 500 or (code.startswith(_SERVER) and code not in _WORDS):
            return ProviderUnreachable(
                f"EC2 in {self._settings.shown_region} is in trouble ({code or status})"
            )
        if code in _CREDENTIALS:
            self._forget_client()  # those of a file may be renewed while this process runs
            return Ec2Refused(self._no_credentials(code), code, for_this_thing=False)
        if code in _PERMISSION:
            words = f"EC2 does not permit ec2:{action} ({code}): allow it in the policy of {self._who()}"
            return Ec2Refused(words, code, for_this_thing=False)
        words = _WORDS.get(code, "").format(region=self._settings.shown_region)
        said = words or _shortened(error.response.get("Error", {}).get("Message", "no reason is given"))
        return Ec2Refused(f"EC2 refuses {action}: {said} ({code})", code, for_this_thing=True)

    def _who(self) -> str:
        profile = self._settings.profile
        return f"profile {profile}" if profile else "whoever the credentials belong to"

    def _no_credentials(self, code: str) -> str:
        where = (
            f"of profile {self._settings.profile}"
            if self._settings.profile
            else "in the scheduler's environment, or give its instance a role"
        )
        return f"EC2 does not accept the credentials ({code}): renew them {where}; the clock has to be right"


def _shortened(what: object) -> str:
    """One line of what was said, without codes for the account's owner and without key ids."""
    line = " ".join(str(what).split())
    line = re.sub(r"\s*Encoded authorization failure message:.*", "", line)
    line = re.sub(r"\bA[SK]IA[A-Z0-9]{12,}", "…", line)
    return line if len(line) <= _MAX_MESSAGE else line[:_MAX_MESSAGE] + "…"
