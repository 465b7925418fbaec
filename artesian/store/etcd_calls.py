"""Asking etcd over its JSON gateway: several endpoints, a login, and errors that say whether it was done."""

from __future__ import annotations

import base64
import threading
from typing import Any

import httpx

from artesian.store.keeper import Unclear
from artesian.store.port import StoreUnusable
from artesian.store.url import StoreUrl

_UNAVAILABLE = (1, 2, 4, 10, 13, 14)  # gRPC: whether it was done is not known
_LOGIN_OVER = 16
_NOT_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)

Document = dict[str, Any]


class EtcdCalls:
    """Usable from any thread. Its errors never show a password."""

    def __init__(self, url: StoreUrl) -> None:
        scheme = "https" if url.scheme == "etcds" else "http"
        self._url = url
        self._bases = [f"{scheme}://{host}:{port}/v3" for host, port in url.hosts]
        self._at = 0  # the endpoint that has answered last
        self._token = ""
        self._login = threading.Lock()
        try:
            self._client = httpx.Client(
                timeout=httpx.Timeout(url.session_s / 4, connect=min(2.0, url.session_s / 4)),
                verify=_tls(url) if scheme == "https" else False,
                trust_env=False,
            )
        except OSError as error:
            raise StoreUnusable(f"the store {url.shown}: its TLS files cannot be used: {error}") from None

    def close(self) -> None:
        """Let go of connections."""
        self._client.close()

    def ask(self, path: str, body: Document) -> Document:
        """What may be asked twice: at one endpoint after the other until one answers."""
        reason = ""
        for _ in self._bases:
            try:
                return self.do(path, body)
            except Unclear as error:
                reason = str(error)
        raise StoreUnusable(f"the store {self._url.shown} does not answer: {reason}")

    def do(self, path: str, body: Document) -> Document:
        """What is done once at most. Raises Unclear; StoreUnusable if nothing was done."""
        used = self._token or self._new_token("")
        try:
            return self._send(path, body, used)
        except _LoginOver:
            pass
        try:
            return self._send(path, body, self._new_token(used))
        except _LoginOver as error:
            raise self._refused(str(error)) from None

    def _new_token(self, used: str) -> str:
        """Log in, unless somebody has since this token was taken."""
        if not self._url.user:
            return ""
        with self._login:
            if self._token == used:
                login = {"name": self._url.user, "password": self._url.password}
                try:
                    answer = self._send("/auth/authenticate", login, "")
                except Unclear as error:
                    raise StoreUnusable(f"the store {self._url.shown} does not answer: {error}") from None
                except _LoginOver as error:
                    raise self._refused(str(error)) from None
                self._token = str(answer.get("token", ""))
            return self._token

    def _send(self, path: str, body: Document, token: str) -> Document:
        """At the endpoint that has answered last, or the first one that takes a connection."""
        if self._client.is_closed:
            raise StoreUnusable(f"the store {self._url.shown} is closed")
        headers = {"Authorization": token} if token else {}
        reason = ""
        for turn in range(len(self._bases)):
            at = (self._at + turn) % len(self._bases)
            try:
                response = self._client.post(self._bases[at] + path, json=body, headers=headers)
            except _NOT_SENT as error:
                reason = str(error) or type(error).__name__
                continue
            except httpx.HTTPError as error:
                self._at = (at + 1) % len(self._bases)
                raise Unclear(f"it has not answered: {error or type(error).__name__}") from None
            self._at = at
            return self._read(response)
        raise StoreUnusable(f"the store {self._url.shown} cannot be reached: {reason}")

    def _read(self, response: httpx.Response) -> Document:
        try:
            document = response.json()
        except ValueError:
            document = None
        if not isinstance(document, dict):
            raise StoreUnusable(
                f"the store {self._url.shown}: what answers there with {response.status_code} is no etcd "
                "of version 3.4 or later"
            )
        error = document.get("error")
        if response.is_success and error is None:
            return document
        code, reason = document.get("code"), str(document.get("message") or error)
        if isinstance(error, dict):  # of a stream
            code, reason = error.get("grpc_code"), str(error.get("message"))
        if code == _LOGIN_OVER:
            raise _LoginOver(reason)
        if code in _UNAVAILABLE:
            self._at = (self._at + 1) % len(self._bases)
            raise Unclear(f"it says: {reason}")
        if code in (3, 7) and ("auth" in reason or "permission" in reason or "user name" in reason):
            raise self._refused(reason)
        raise StoreUnusable(f"the store {self._url.shown} refuses: {reason}")

    def _refused(self, reason: str) -> StoreUnusable:
        return StoreUnusable(
            f"the store {self._url.shown} refuses access ({reason}): its URL needs a user and a password "
            f"that may read and write below {self._url.path}/"
        )


class _LoginOver(Exception):
    """Log in anew."""


def _tls(url: StoreUrl) -> Any:
    import ssl

    context = ssl.create_default_context(cafile=url.ca or None)
    if url.certificate:
        context.load_cert_chain(url.certificate, url.key or None)
    return context


def coded(value: bytes | str) -> str:
    """Bytes as JSON has them."""
    return base64.b64encode(value.encode() if isinstance(value, str) else value).decode()


def decoded(value: str) -> bytes:
    return base64.b64decode(value)
