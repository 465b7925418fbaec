"""An EC2 on this machine: moto, behind a proxy that adds what moto leaves out, and faults.

Added are the client tokens of CreateVolume, that it refuses zones that are not there, and what AttachVolume
refuses: another zone, a volume that is attached, a device name that is taken. Instances and volumes of all
tests are there together, as in a real account: tests have clusters of their own.
"""

from __future__ import annotations

import socket
import threading
import xml.etree.ElementTree as ET
from collections.abc import Callable
from dataclasses import dataclass
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple
from urllib.parse import parse_qsl

import boto3
from botocore.config import Config
from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.ec2.models import ec2_backends
from moto.server import ThreadedMotoServer

REGION = "eu-central-1"
ZONES = ("eu-central-1a", "eu-central-1b")
ROOT_DEVICES = ("/dev/sda1", "/dev/xvda")
ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE",
    "AWS_SECRET_ACCESS_KEY": "secret-of-the-account",
    "AWS_SESSION_TOKEN": "token-of-the-session",
    "AWS_CONFIG_FILE": "/dev/null",
    "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
    "AWS_EC2_METADATA_DISABLED": "true",
}
"""What a process needs to be let in."""

_NAMESPACE = "http://ec2.amazonaws.com/doc/2016-11-15"
_HANG_S = 30.0
Parameters = dict[str, str]


class Attached(NamedTuple):
    """A volume that an instance has."""

    volume: str
    instance: str
    device: str
    size_bytes: int


@dataclass
class Fault:
    """What becomes of the next calls of an action. `lost`: they take effect, and nobody is told."""

    action: str
    times: int
    code: str = ""
    message: str = ""
    status: int = 400
    lost: bool = False
    hangs: bool = False


class Ec2:
    """Started once for all tests; `calm` between them."""

    def __init__(self) -> None:
        self._moto = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
        self._moto.start()
        self.moto_address = self._moto.get_host_and_port()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), lambda *args: _Handler(self, *args))
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self.client: Any = boto3.client(  # past the proxy: what is really there
            "ec2",
            region_name=REGION,
            endpoint_url=f"http://{self.moto_address[0]}:{self.moto_address[1]}",
            aws_access_key_id="owner",
            aws_secret_access_key="owner",
            config=Config(retries={"total_max_attempts": 1}),
        )
        # It runs in this process, and what is asked for all the time need not go over HTTP.
        self._moto_ec2: Any = ec2_backends[DEFAULT_ACCOUNT_ID][REGION]
        self.lock = threading.RLock()
        self._idle: dict[str, list[str]] = {zone: [] for zone in ZONES}
        self.over = threading.Event()
        self.calm()
        self.created: dict[str, tuple[Parameters, bytes]] = {}  # by client token

    def stop(self) -> None:
        """End both servers."""
        self.calm()
        self._server.shutdown()
        self._server.server_close()
        self._moto.stop()

    # --- faults

    def calm(self) -> None:
        """No faults any more, and no calls so far."""
        self.over.set()  # what hangs goes on
        self.over = threading.Event()
        self.calls: list[tuple[str, Parameters]] = []
        self._faults: list[Fault] = []
        self._attaching = False
        self._creating = False
        self._hides_new = False
        self._detaching: set[str] = set()
        self._new: set[str] = set()
        self.detaches: str = "at once"

    def fail(self, action: str, code: str, message: str = "", *, status: int = 400, times: int = 100) -> None:
        """The next calls of an action fail and have no effect; "*": of any action."""
        self._faults.append(Fault(action, times, code, message, status))

    def lose_answers(self, action: str, times: int = 100) -> None:
        """The next calls of an action have their effect, but the connection is closed without an answer."""
        self._faults.append(Fault(action, times, lost=True))

    def hang(self, action: str, times: int = 100) -> None:
        """The next calls of an action have no effect, and no answer comes."""
        self._faults.append(Fault(action, times, hangs=True))

    def keep_attaching(self, on: bool = True) -> None:
        """Volumes that are being attached stay so."""
        self._attaching = on

    def keep_creating(self, on: bool = True) -> None:
        """Volumes that are made from now on stay in the making."""
        self._creating = on

    def hide_new(self, on: bool = True) -> None:
        """Volumes that are made from now on are not listed, as it may be for a while after they are made."""
        self._hides_new = on

    def keep_detaching(self, *, also_by_force: bool = False) -> None:
        """Volumes that are being detached stay so, unless force is used."""
        self.detaches = "never" if also_by_force else "by force"

    # --- what its owner can do

    def start_instance(self, zone: str = ZONES[0]) -> str:
        """A running instance with nothing but its root volume; its id."""
        if self._idle[zone]:
            return self._idle[zone].pop()
        answer = self.client.run_instances(
            ImageId="ami-12345678", MinCount=1, MaxCount=1, Placement={"AvailabilityZone": zone}
        )
        return str(answer["Instances"][0]["InstanceId"])

    def take_back(self, instance_id: str) -> None:
        """An instance that somebody else may have now, as starting one takes a while."""
        instance = self._moto_ec2.get_instance(instance_id)
        if instance.state != "running":
            return
        for device, one in list(instance.block_device_mapping.items()):
            if device not in ROOT_DEVICES:
                self._moto_ec2.detach_volume(one.volume_id, instance_id, device)
                self._moto_ec2.delete_volume(one.volume_id)
        self._idle[instance.placement.zone].append(instance_id)

    def instance(self, instance_id: str) -> dict[str, Any]:
        """As EC2 describes it."""
        answer = self.client.describe_instances(InstanceIds=[instance_id])
        found: dict[str, Any] = answer["Reservations"][0]["Instances"][0]
        return found

    def volumes(self, cluster: str) -> list[dict[str, Any]]:
        """The volumes that are tagged for a cluster, as EC2 describes them."""
        filters = [{"Name": "tag:artesian-cluster", "Values": [cluster]}]
        found: list[dict[str, Any]] = self.client.describe_volumes(Filters=filters)["Volumes"]
        return found

    def attached(self) -> list[Attached]:
        """The volumes that instances have by now: not those on their way to, but those on their way off."""
        return [
            Attached(volume.id, volume.attachment.instance.id, volume.attachment.device, volume.size << 30)
            for volume in list(self._moto_ec2.volumes.values())
            if volume.attachment is not None and not (self._attaching and volume.id in self._new)
        ]

    def exists(self, volume_id: str) -> bool:
        """Whether a volume is there, attached or not."""
        return volume_id in self._moto_ec2.volumes

    def count(self, cluster: str) -> int:
        """How many volumes are tagged for a cluster."""
        return sum(
            volume.get_filter_value("tag:artesian-cluster") == cluster
            for volume in list(self._moto_ec2.volumes.values())
        )

    # --- what the proxy does

    def fault(self, action: str) -> Fault | None:
        """The fault that meets a call now."""
        with self.lock:
            found = next((one for one in self._faults if one.times and one.action in (action, "*")), None)
            if found is not None:
                found.times -= 1
            return found

    def refusal(self, action: str, parameters: Parameters) -> tuple[str, str] | None:
        """What EC2 refuses and moto does not: a code and a message."""
        if action == "AttachVolume":
            return self._refusal_to_attach(parameters)
        if action == "CreateVolume" and parameters["AvailabilityZone"] not in ZONES:
            return "InvalidZone.NotFound", f"The zone '{parameters['AvailabilityZone']}' does not exist."
        if action == "CreateVolume" and "ClientToken" in parameters:
            before = self.created.get(parameters["ClientToken"])
            if before is not None and before[0] != parameters:
                return "IdempotentParameterMismatch", "The client token was used with other parameters."
        return None

    def _refusal_to_attach(self, parameters: Parameters) -> tuple[str, str] | None:
        instance = self._moto_ec2.get_instance(parameters["InstanceId"])
        volume = self._moto_ec2.get_volume(parameters["VolumeId"])
        zone, device = instance.placement.zone, parameters["Device"]
        if volume.zone.name != zone:
            return "InvalidVolume.ZoneMismatch", f"The volume is not in the zone of the instance, {zone}"
        if volume.attachment is not None:
            return "VolumeInUse", f"{volume.id} is already attached to an instance"
        if device in instance.block_device_mapping:
            words = f"Invalid value '{device}' for unixDevice. Attachment point {device} is already in use"
            return "InvalidParameterValue", words
        return None

    def answer(self, action: str, parameters: Parameters, ask: Callable[[], bytes]) -> bytes:
        """The answer to a call that EC2 does not refuse. `ask` asks moto."""
        if action == "CreateVolume":
            return self._answer_to_create(parameters, ask)
        if action == "AttachVolume":
            self._new.add(parameters["VolumeId"])
        if action == "DetachVolume" and self.detaches != "at once":
            forced = parameters.get("Force") == "true" and self.detaches == "by force"
            if not forced:
                self._detaching.add(parameters["VolumeId"])
                return _xml("DetachVolumeResponse", status="detaching")
        return self._rewritten(ask()) if action == "DescribeVolumes" else ask()

    def _answer_to_create(self, parameters: Parameters, ask: Callable[[], bytes]) -> bytes:
        token = parameters.get("ClientToken", "")
        before = self.created.get(token)
        if before is not None:
            return before[1]
        answer = ask()
        root = ET.fromstring(answer)
        found = root.find(f"{{{_NAMESPACE}}}volumeId")
        if found is not None and found.text:
            self._new.add(found.text)
            if token:
                self.created[token] = (parameters, answer)
        return answer

    def _rewritten(self, answer: bytes) -> bytes:
        """A listing of volumes as the faults have it."""
        ET.register_namespace("", _NAMESPACE)
        root = ET.fromstring(answer)
        listed = root.find(f"{{{_NAMESPACE}}}volumeSet")
        for item in list(listed) if listed is not None else []:
            text = {child.tag.rpartition("}")[2]: child for child in item}
            volume_id = text["volumeId"].text or ""
            if volume_id in self._new and self._hides_new and listed is not None:
                listed.remove(item)
            if volume_id in self._new and self._creating:
                text["status"].text = "creating"
            for status in item.findall(f".//{{{_NAMESPACE}}}attachmentSet//{{{_NAMESPACE}}}status"):
                if volume_id in self._detaching:
                    status.text = "detaching"
                elif volume_id in self._new and self._attaching:
                    status.text = "attaching"
        return bytes(ET.tostring(root, encoding="utf-8"))


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # head and body leave together, or the client waits for the second of them
    disable_nagle_algorithm = True

    def __init__(self, ec2: Ec2, *args: Any) -> None:
        self.ec2 = ec2
        super().__init__(*args)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        parameters = dict(parse_qsl(body.decode()))
        action = parameters.get("Action", "")
        ec2 = self.ec2
        ec2.calls.append((action, parameters))
        fault = ec2.fault(action)
        if fault is not None and fault.hangs:
            ec2.over.wait(_HANG_S)
            self._hang_up()
            return
        if fault is not None and not fault.lost:
            self._send(fault.status, _error(fault.code, fault.message))
            return
        with ec2.lock:
            refusal = ec2.refusal(action, parameters)
            status = 400 if refusal is not None else 200
            if refusal is not None:
                answer = _error(*refusal)
            else:
                asked: list[int] = []
                answer = ec2.answer(action, parameters, lambda: self._ask(body, asked))
                status = asked[0] if asked else 200
        if fault is not None:
            self._hang_up()
        else:
            self._send(status, answer)

    def _ask(self, body: bytes, status: list[int]) -> bytes:
        connection = HTTPConnection(*self.ec2.moto_address, timeout=_HANG_S)
        try:
            headers = {key: value for key, value in self.headers.items() if key.lower() != "connection"}
            connection.request("POST", self.path, body, headers)
            response = connection.getresponse()
            status.append(response.status)
            return response.read()
        finally:
            connection.close()

    def _send(self, status: int, answer: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "text/xml")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)
        self.wfile.flush()

    def _hang_up(self) -> None:
        self.close_connection = True
        self.connection.shutdown(socket.SHUT_RDWR)


def _error(code: str, message: str) -> bytes:
    root = ET.Element("Response")
    error = ET.SubElement(ET.SubElement(root, "Errors"), "Error")
    ET.SubElement(error, "Code").text = code
    ET.SubElement(error, "Message").text = message
    ET.SubElement(root, "RequestID").text = "0"
    return bytes(ET.tostring(root))


def _xml(tag: str, **children: str) -> bytes:
    root = ET.Element(tag, xmlns=_NAMESPACE)
    ET.SubElement(root, "requestId").text = "0"
    for key, value in children.items():
        ET.SubElement(root, key).text = value
    return bytes(ET.tostring(root))
