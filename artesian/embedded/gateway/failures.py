"""What the gateway answers when it refuses: PowerFlex' error bodies, never anything else.

Errors that the gateway finds by itself carry errorCode 0 and a 4xx status; refusals of the managers
carry PowerFlex' numeric code and status 500, as clients of a real gateway expect.
"""

from __future__ import annotations

import json
from typing import Any

from starlette.responses import Response

from artesian.embedded.errors import CommandRefused

INTERNAL_ERROR_CODE = 1
COMMUNICATION_ERROR_CODE = 69
VOLUME_CREATE_FAILED_CODE = 166
INVALID_PASSWORD_CODE = 167
NO_PERMISSION_CODE = 168


class ApiError(Exception):
    """An answer other than 200: HTTP `status`, PowerFlex' `error_code` and a one-line message."""

    def __init__(self, status: int, message: str, error_code: int = 0) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.error_code = error_code

    def response(self) -> Response:
        """The error as PowerFlex words it."""
        body = {"message": self.message, "httpStatusCode": self.status, "errorCode": self.error_code}
        headers = {"WWW-Authenticate": 'Basic realm="Artesian"'} if self.status == 401 else None
        return json_response(body, self.status, headers)


def json_response(body: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """A JSON answer without trailing newline: some clients only strip the quotes of a text."""
    return Response(
        json.dumps(body, separators=(",", ":"), ensure_ascii=False).encode(),
        status,
        headers,
        media_type="application/json",
    )


def bad_request(message: str) -> ApiError:
    return ApiError(400, message)


def unauthorized() -> ApiError:
    return ApiError(401, "Unauthorized")


def unknown_url() -> ApiError:
    return ApiError(404, "The requested URL does not exist")


def missing_parameters(*names: str) -> ApiError:
    listed = ", ".join(names)
    return bad_request(
        "Request message is not valid: The following parameter(s) must be part of the request body: "
        f"{listed}."
    )


def missing_one_of(*names: str) -> ApiError:
    listed = ", ".join(names)
    return bad_request(
        f"Request message is not valid: One of the parameter(s) must be part of the request body: {listed}."
    )


def malformed_id(text: str) -> ApiError:
    return bad_request(f"id ({text[:64]}) must be a hexadecimal number (unsigned long)")


def unsupported(what: str) -> ApiError:
    return bad_request(f"{what} is not supported by this storage engine")


def refused(error: CommandRefused) -> ApiError:
    """A refusal of the managers: code 0 means that the request itself was malformed."""
    return ApiError(500 if error.code else 400, error.message, error.code)
