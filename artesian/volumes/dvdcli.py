"""`dvdcli`: volumes of any Docker volume plugin on this machine, without Docker, as REX-Ray's users know it.

Mesos' docker/volume isolator runs it: standard output is the path of the mount, and nothing else ever; all
that is to be read by people goes to standard error. This file needs nothing but Python 3.7, and is copied as
it is to where Mesos' agents find it.
"""

from __future__ import annotations

import http.client
import json
import os
import socket
import sys
import time

_VERSION = "0.1.0"
_SYSTEM_FOLDERS = ("/run/docker/plugins", "/var/run/docker/plugins")
_CONNECTING_S = 15.0  # a plugin that is just being started anew
_ANSWERING_S = 600.0  # mounts take their time, and whoever runs us has limits of his own
_COMMANDS = ("mount", "unmount", "create", "remove", "path", "get", "list", "program", "version")
_USAGE = """\
usage: dvdcli COMMAND --volumedriver=NAME [--volumename=NAME] [--volumeopts=KEY=VALUE,...]

  mount    mount a volume and print where; make it first if there is none, unless --explicitcreate
  unmount  end a use of it
  create   make it
  remove   delete it, and all that is in it
  path     print where it is mounted, if it is
  get      print its name, if there is one
  list     print the names of all
  program  print this program, for nodes that have none of it
  version  print the version

A plugin is the socket NAME.sock in $ARTESIAN_PLUGINS, in the folder `plugins` beside that of this program, or
in /run/docker/plugins.
"""


class Failed(Exception):
    """What went wrong, in one sentence."""


class PluginError(Failed):
    """The plugin's own word."""


class _Connection(http.client.HTTPConnection):
    """HTTP to a Unix socket."""

    def __init__(self, path):  # type: (str) -> None
        super().__init__("plugin", timeout=_ANSWERING_S)
        self._path = path

    def connect(self):  # type: () -> None
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(_ANSWERING_S)
        self.sock.connect(self._path)


class Plugin:
    """The volume plugin of a name; waits for one that is not there for a moment."""

    def __init__(self, driver: str, connecting_s: float = _CONNECTING_S) -> None:
        """Raises Failed."""
        if "/" in driver or driver in (".", ".."):
            raise Failed(f"{driver!r} is no name of a volume driver")
        self._driver = driver
        self._deadline = time.monotonic() + connecting_s
        self._path = self._find()
        answer = self.call("Plugin.Activate", {})
        if "VolumeDriver" not in (answer.get("Implements") or []):
            raise Failed(f"plugin {driver} gives no volumes")

    def call(self, what: str, body: dict) -> dict:  # type: ignore[type-arg]
        """Ask something. Raises PluginError, Failed."""
        headers = {"Content-Type": "application/json", "Accept": "application/vnd.docker.plugins.v1.2+json"}
        while True:
            connection = _Connection(self._path)
            try:
                connection.connect()
            except (FileNotFoundError, ConnectionRefusedError) as error:
                self._pause(f"volume driver {self._driver} does not answer at {self._path}: {error.strerror}")
                continue
            except OSError as error:
                raise Failed(
                    f"volume driver {self._driver}: {self._path}: {error.strerror or error}"
                ) from None
            try:
                connection.request("POST", f"/{what}", json.dumps(body), headers)
                response = connection.getresponse()
                return self._read(what, response.status, response.read())
            except (OSError, http.client.HTTPException) as error:
                text = str(error) or type(error).__name__
                raise Failed(f"volume driver {self._driver} has not answered to {what}: {text}") from None
            finally:
                connection.close()

    def _read(self, what: str, status: int, data: bytes) -> dict:  # type: ignore[type-arg]
        try:
            answer = json.loads(data) if data.strip() else {}
        except ValueError:
            answer = None
        if isinstance(answer, dict):
            if answer.get("Err"):
                raise PluginError(str(answer["Err"]))
            if status == 200:
                return answer
        words = data[:200].decode(errors="replace").strip()
        raise PluginError(f"volume driver {self._driver} answers {status} to {what}: {words}")

    def _find(self) -> str:
        folders = [os.environ.get("ARTESIAN_PLUGINS", "")]
        folders += [os.path.join(os.path.dirname(os.path.dirname(os.path.realpath(__file__))), "plugins")]
        folders = [one for one in folders if one] + list(_SYSTEM_FOLDERS)
        while True:
            for folder in folders:
                path = os.path.join(folder, f"{self._driver}.sock")
                if os.path.exists(path):
                    return path
            self._pause(f"there is no volume driver {self._driver} in {', '.join(folders)}")

    def _pause(self, why: str) -> None:
        if time.monotonic() >= self._deadline:
            raise Failed(why)
        time.sleep(0.2)


class Request:
    """What the command line asks for. Raises Failed."""

    def __init__(self, arguments: list) -> None:  # type: ignore[type-arg]
        self.command = self.driver = self.name = ""
        self.explicit = self.help = False
        self.options: dict = {}  # type: ignore[type-arg]
        waiting = list(arguments)
        while waiting:
            self._take(waiting.pop(0), waiting)

    def _take(self, word: str, rest: list) -> None:  # type: ignore[type-arg]
        if not word.startswith("-"):
            if self.command:
                raise Failed(f"{word!r} is one word too many after {self.command}")
            if word not in _COMMANDS:
                raise Failed(f"there is no command {word!r}; there are {', '.join(_COMMANDS)}")
            self.command = word
            return
        flag, is_given, value = word.partition("=")
        name = flag.lstrip("-").lower()
        if name in ("help", "h"):
            self.help = True
        elif name == "explicitcreate":
            text = value.strip().lower() if is_given else "true"
            if text not in ("true", "false", "1", "0", "t", "f"):
                raise Failed(f"{flag}: {value!r} is neither true nor false")
            self.explicit = text in ("true", "1", "t")
        elif name in ("volumedriver", "volumename", "volumeopts"):
            if not is_given:
                if not rest:
                    raise Failed(f"{flag} needs a value")
                value = rest.pop(0)
            self._set(name, value)
        elif name == "loglevel":
            if not is_given and rest:
                rest.pop(0)  # there is one level
        else:
            raise Failed(f"there is no option {flag}")

    def _set(self, name: str, value: str) -> None:
        if name == "volumedriver":
            self.driver = value
        elif name == "volumename":
            self.name = value
        else:
            for one in filter(None, value.split(",")):
                key, is_given, text = one.partition("=")
                if not is_given or not key:
                    raise Failed(f"--volumeopts: {one!r} is not KEY=VALUE")
                self.options[key] = text

    def check(self) -> None:
        """Raises Failed for what is missing."""
        if not self.command:
            raise Failed(f"say which command: {', '.join(_COMMANDS)}")
        if self.command in ("program", "version"):
            return
        if not self.driver:
            raise Failed("Missing volume driver name: --volumedriver=NAME")
        if self.command != "list" and not self.name:
            raise Failed("Missing volume name: --volumename=NAME")


def program(first_line: str) -> str:
    """This very file, to be run by whom its first line names."""
    with open(__file__, encoding="utf-8") as file:
        text = file.read()
    if text.startswith("#!"):
        text = text.partition("\n")[2]
    return f"{first_line}\n{text}"


def run(request: Request, plugin: Plugin) -> str:
    """Do it; what is to be printed on standard output. Raises Failed."""
    body = {"Name": request.name}
    command = request.command
    if command == "list":
        volumes = plugin.call("VolumeDriver.List", {}).get("Volumes") or []
        return "\n".join(str(one.get("Name", "")) for one in volumes)
    if command == "create":
        plugin.call("VolumeDriver.Create", {"Name": request.name, "Opts": request.options})
        return ""
    if command == "mount":
        return _mount(request, plugin)
    found = plugin.call("VolumeDriver.Get", body).get("Volume") or {}
    if command == "get":
        return str(found.get("Name") or request.name)
    if command == "path":
        path = found.get("Mountpoint") or plugin.call("VolumeDriver.Path", body).get("Mountpoint")
        return str(path or "")
    plugin.call("VolumeDriver.Unmount" if command == "unmount" else "VolumeDriver.Remove", body)
    return ""


def _mount(request: Request, plugin: Plugin) -> str:
    """Options are said again with the mount: other plugins leave that alone."""
    try:
        plugin.call("VolumeDriver.Get", {"Name": request.name})
    except PluginError:
        if request.explicit:
            raise
        plugin.call("VolumeDriver.Create", {"Name": request.name, "Opts": request.options})
    body = {"Name": request.name}  # type: dict[str, object]
    if request.options:
        body["Opts"] = request.options
    path = plugin.call("VolumeDriver.Mount", body).get("Mountpoint")
    if not path:
        raise Failed(f"the volume driver does not say where volume {request.name} is mounted")
    return str(path)


def main(arguments: list, connecting_s: float = _CONNECTING_S) -> int:  # type: ignore[type-arg]
    """Run a command; its exit code, which is 0 or 1."""
    request = None
    try:
        request = Request(arguments)
        if request.help:
            print(_USAGE, file=sys.stderr)
            return 0
        request.check()
        if request.command == "program":
            print(program("#!/usr/bin/env python3"), end="")
            return 0
        if request.command == "version":
            print(f"dvdcli of Artesian {_VERSION}")
            return 0
        text = run(request, Plugin(request.driver, connecting_s))
        if text:
            print(text, flush=True)
        _log("info", f"{request.command} done", request.name)
        return 0
    except Failed as error:
        _log("error", " ".join(str(error).split()), request.name if request is not None else "")
        return 1
    except KeyboardInterrupt:
        return 1


def _log(level: str, message: str, name: str) -> None:
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    volume = f" volumeName={name}" if name else ""
    try:
        print(f"time={json.dumps(now)} level={level} msg={json.dumps(message)}{volume}", file=sys.stderr)
    except OSError:
        pass  # nobody reads it


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
