"""The executor API, with the standard library alone: what an agent wants, and what became of it.

Updates are kept until they are acknowledged, and are told again after the agent was away.
"""

from __future__ import annotations

import base64
import contextlib
import http.client
import json
import random
import socket
import ssl
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from typing import Any

from artesian.mesos.errors import NotSubscribed, Refused
from artesian.mesos.executor_settings import settings_of
from artesian.mesos.recordio import Decoder
from artesian.mesos.unacknowledged import Unacknowledged

Json = dict[str, Any]
Handler = Callable[[Json], None]

SHUTDOWN, STOPPED = "shutdown", "stopped"
RECOVERY_TIMEOUT, AGENT_GONE = "recovery timeout", "agent gone"

_PATH = "/api/v1/executor"
_TIMEOUT_S = 15.0
_READ_BYTES = 1 << 16
# The agent kills when its time of grace is over: who is to end well ends before that.
_GRACE_PART = 0.75
_OK, _ACCEPTED = 200, 202
# It is us that the agent does not know, or what we say that it does not understand: no time mends that.
_FINAL = (400, 401, 403)
_UNREADABLE = ("Failed to validate", "Failed to convert", "Failed to parse")


class _Final(Exception):
    """The agent will never have us."""


class ExecutorClient:
    """One executor towards its agent. `run` in one thread; everything else from any.

    Raises ValueError if the environment is not that of an executor. `on_call` sees every call as it is sent.
    """

    def __init__(
        self,
        environment: Mapping[str, str],
        *,
        clock: Callable[[], float] = time.monotonic,
        chance: Callable[[], float] = random.random,
        on_call: Callable[[Json], None] = lambda call: None,
    ) -> None:
        self.settings = settings_of(environment)
        self._clock, self._chance, self._on_call = clock, chance, on_call
        self._pending = Unacknowledged()
        self._posting = threading.Lock()
        self._lock = threading.Lock()
        self._socket: socket.socket | None = None
        self._is_subscribed = False
        self._end: tuple[str, float] | None = None
        self._ending = threading.Event()
        self.trouble: str | None = None
        """Why there was no subscription the last time that there was none."""

    @property
    def is_subscribed(self) -> bool:
        """Whether the agent has us as subscribed, as far as we know."""
        return self._is_subscribed

    def run(self, handle: Handler) -> str:
        """Subscribe, and hand over SUBSCRIBED, LAUNCH, KILL, MESSAGE, SHUTDOWN and whatever else comes;
        subscribe anew when the agent was away. Acknowledgements are taken in here.

        Returns why it ended: SHUTDOWN (all is acknowledged, or the agent's patience is nearly at its end),
        STOPPED likewise, RECOVERY_TIMEOUT, AGENT_GONE (it is away and recovers no executors, or does not know
        us any more).
        Raises whatever `handle` raises.
        """
        last_seen_s = self._clock()
        while True:
            try:
                self._subscription(handle)
            except _Final as error:
                self.trouble = str(error)
                return self._end[0] if self._end else AGENT_GONE
            except (OSError, http.client.HTTPException, ValueError) as error:
                self.trouble = f"the agent at {self.settings.endpoint}: {error or type(error).__name__}"
            finally:
                if self._disconnect():
                    last_seen_s = self._clock()
            if (end := self._ended()) is not None:
                return end
            if not self.settings.checkpoints:
                return AGENT_GONE
            left_s = last_seen_s + self.settings.recovery_s - self._clock()
            if left_s <= 0:
                return RECOVERY_TIMEOUT
            self._rest(min(left_s, self.settings.backoff_s * self._chance()))

    def stop(self, patience_s: float) -> None:
        """Have `run` return once every update is acknowledged, or after so many seconds."""
        self._end_with(STOPPED, patience_s)
        if self._pending.is_empty:
            self._interrupt("there is nothing more to wait for")

    def update(
        self,
        task_id: str,
        state: str,
        *,
        message: str = "",
        reason: str | None = None,
        healthy: bool | None = None,
        labels: Mapping[str, str] | None = None,
        data: bytes | None = None,
    ) -> None:
        """Tell the state of a task ("TASK_RUNNING"). It is kept, and told again, until it is acknowledged.

        Raises Refused if Mesos does not understand it; then it is forgotten.
        """
        status: Json = {
            "task_id": {"value": task_id},
            "executor_id": {"value": self.settings.executor_id},
            "state": state,
            "source": "SOURCE_EXECUTOR",
            "uuid": base64.b64encode(uuid.uuid4().bytes).decode(),
            "timestamp": time.time(),
        }
        if message:
            status["message"] = message
        if reason is not None:
            status["reason"] = reason
        if healthy is not None:
            status["healthy"] = healthy
        if labels:
            status["labels"] = {"labels": [{"key": key, "value": labels[key]} for key in labels]}
        if data is not None:
            status["data"] = base64.b64encode(data).decode()
        self._pending.add(status)
        self._send_updates()

    def message(self, data: bytes) -> None:
        """Bytes for the framework. They may get lost; raises NotSubscribed if they are for certain."""
        if not self._is_subscribed:
            raise NotSubscribed(f"the agent at {self.settings.endpoint} is away")
        call = self._call("MESSAGE", {"data": base64.b64encode(data).decode()})
        try:
            status, said = self._post(call)
        except (OSError, http.client.HTTPException) as error:
            raise NotSubscribed(f"the agent at {self.settings.endpoint} cannot be told: {error}") from None
        if status != _ACCEPTED:
            raise NotSubscribed(f"the agent at {self.settings.endpoint} does not pass it on: {said}")

    def _subscription(self, handle: Handler) -> None:
        """One subscription, until it breaks or there is nothing more to wait for."""
        connection = self._connection()
        try:
            told = self._pending.subscription()
            connection.connect()
            with self._lock:
                self._socket = connection.sock
            response = self._request(connection, self._call("SUBSCRIBE", told))
            if response.status != _OK:
                self._refused(response.status, _text(response.read()))
            if connection.sock is not None:
                connection.sock.settimeout(None)
            self._read(response, told, handle)
        finally:
            connection.close()

    def _read(self, response: http.client.HTTPResponse, told: Json, handle: Handler) -> None:
        decoder = Decoder()
        while chunk := response.read1(_READ_BYTES):
            for record in decoder.feed(chunk):
                event = json.loads(record)
                if event["type"] == "SUBSCRIBED":
                    self._pending.sent(*told["unacknowledged_updates"])
                    self._is_subscribed = True
                    self._send_updates()
                self._take(event, handle)
                if self._ended() is not None:
                    return
        raise OSError("it has ended the stream of events")

    def _take(self, event: Json, handle: Handler) -> None:
        kind = event["type"]
        if kind == "HEARTBEAT":
            return
        if kind == "ACKNOWLEDGED":
            acknowledged = event["acknowledged"]
            self._pending.acknowledged(acknowledged["task_id"]["value"], acknowledged["uuid"])
            return
        if kind == "LAUNCH":
            self._pending.launched(event["launch"]["task"])
        elif kind == "LAUNCH_GROUP":
            for task in event["launch_group"]["task_group"]["tasks"]:
                self._pending.launched(task)
        elif kind == "SHUTDOWN":
            if self._end is not None and self._end[0] == SHUTDOWN:
                return  # agents say it again and again
            self._end_with(SHUTDOWN, self.settings.grace_s * _GRACE_PART)
        handle(event)

    def _send_updates(self) -> None:
        """Tell the agent what it was not told yet, in order; what cannot be told now goes with SUBSCRIBE."""
        with self._posting:
            while self._is_subscribed and (update := self._pending.next_unsent()) is not None:
                try:
                    status, said = self._post(self._call("UPDATE", update))
                except (OSError, http.client.HTTPException) as error:
                    self._interrupt(f"an update cannot be told: {error or type(error).__name__}")
                    return
                if status == _ACCEPTED:
                    self._pending.sent(update)
                elif said.startswith(_UNREADABLE):
                    self._pending.drop(update["status"]["uuid"])
                    raise Refused(f"Mesos does not understand the state of a task: {said}")
                else:
                    self._interrupt(f"an update was not taken: {said}")
                    return

    def _end_with(self, why: str, patience_s: float) -> None:
        """From now on `run` only waits for acknowledgements, and not for ever."""
        with self._lock:
            if self._end is None or why == SHUTDOWN:
                self._end = (why, self._clock() + patience_s)
        self._ending.set()
        timer = threading.Timer(patience_s, self._interrupt, ["the time for the end is over"])
        timer.daemon = True
        timer.start()

    def _ended(self) -> str | None:
        with self._lock:
            end = self._end
        if end is not None and (self._pending.is_empty or self._clock() >= end[1]):
            return end[0]
        return None

    def _rest(self, delay_s: float) -> None:
        """Between two attempts. Who is to stop does not sleep long."""
        if self._ending.is_set():
            time.sleep(min(delay_s, 0.1))
        else:
            self._ending.wait(delay_s)

    def _interrupt(self, why: str) -> None:
        """Wake `run` up, wherever it waits for the agent."""
        with self._lock:
            self.trouble = why
            if self._socket is not None:
                with contextlib.suppress(OSError):
                    self._socket.shutdown(socket.SHUT_RDWR)

    def _disconnect(self) -> bool:
        """Whether there was a subscription."""
        with self._lock:
            was_subscribed, self._is_subscribed, self._socket = self._is_subscribed, False, None
        return was_subscribed

    def _refused(self, status: int, said: str) -> None:
        text = f"the agent at {self.settings.endpoint} refuses us: {said or status}"
        raise _Final(text) if status in _FINAL else OSError(text)

    def _call(self, kind: str, body: Json) -> Json:
        return {
            "type": kind,
            "executor_id": {"value": self.settings.executor_id},
            "framework_id": {"value": self.settings.framework_id},
            kind.lower(): body,
        }

    def _post(self, call: Json) -> tuple[int, str]:
        connection = self._connection()
        try:
            response = self._request(connection, call)
            return response.status, _text(response.read())
        finally:
            connection.close()

    def _request(self, connection: http.client.HTTPConnection, call: Json) -> http.client.HTTPResponse:
        self._on_call(call)
        headers = {"Content-Type": "application/json", "Accept": "application/json"}
        if self.settings.token is not None:
            headers["Authorization"] = f"Bearer {self.settings.token}"
        connection.request("POST", _PATH, json.dumps(call), headers)
        return connection.getresponse()

    def _connection(self) -> http.client.HTTPConnection:
        if not self.settings.tls:
            return http.client.HTTPConnection(self.settings.endpoint, timeout=_TIMEOUT_S)
        context = ssl.create_default_context(cafile=self.settings.ca_file)
        # The endpoint is an address of this very machine, which certificates do not name.
        context.check_hostname = False
        if self.settings.ca_file is None:
            context.verify_mode = ssl.CERT_NONE
        return http.client.HTTPSConnection(self.settings.endpoint, timeout=_TIMEOUT_S, context=context)


def _text(body: bytes) -> str:
    return " ".join(body.decode(errors="replace").split())
