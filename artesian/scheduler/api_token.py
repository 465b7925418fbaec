"""The API's token, as somebody has chosen it: in a file or in the environment, never on a command line."""

from __future__ import annotations

import re
from pathlib import Path

from artesian.model.errors import NotPossible

TOKEN_VARIABLE, TOKEN_FILE_VARIABLE = "ARTESIAN_TOKEN", "ARTESIAN_TOKEN_FILE"
_TOKEN = re.compile(r"[A-Za-z0-9._~+/=-]{16,256}")


def read_token(path: str) -> str:
    """The token in a file. Raises NotPossible."""
    try:
        text = Path(path).read_text()
    except OSError as error:
        raise NotPossible(f"{path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise NotPossible(f"{path}: this is no text, and so no token") from None
    return checked_token(text.strip(), path)


def checked_token(token: str, where: str) -> str:
    """Raises NotPossible for what everybody could guess, or no request could carry."""
    if _TOKEN.fullmatch(token) is None:
        raise NotPossible(
            f"{where}: a token is 16 to 256 letters, digits and any of . _ ~ + / = - (such as what "
            "`openssl rand -hex 24` prints)"
        )
    return token
