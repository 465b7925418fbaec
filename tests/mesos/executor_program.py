"""The executor of these tests. A task runs until it is killed, or its name is found in a file "finish".

Calls are written to "calls.jsonl", its process to "pid", and what ended it to "end".
"""

from __future__ import annotations

import base64
import json
import os
import threading
import time
from pathlib import Path
from typing import Any

from artesian.mesos.executor import ExecutorClient


class Program:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.running: set[str] = set()
        self.calls = (folder / "calls.jsonl").open("a", buffering=1)
        self.client = ExecutorClient(os.environ, on_call=self.record)

    def record(self, call: dict[str, Any]) -> None:
        self.calls.write(json.dumps(call) + "\n")

    def handle(self, event: dict[str, Any]) -> None:
        if event["type"] == "LAUNCH":
            task = event["launch"]["task"]["task_id"]["value"]
            self.running.add(task)
            labels = {"path": str(self.folder)}
            self.client.update(task, "TASK_RUNNING", message="it runs", healthy=True, labels=labels)
        elif event["type"] == "KILL":
            kill = event["kill"]
            self.running.discard(kill["task_id"]["value"])
            grace = kill.get("kill_policy", {}).get("grace_period", {}).get("nanoseconds", 0)
            self.client.update(kill["task_id"]["value"], "TASK_KILLED", data=str(grace).encode())
        elif event["type"] == "MESSAGE":
            self.client.message(b"heard " + base64.b64decode(event["message"]["data"]))
        elif event["type"] == "SHUTDOWN":
            for task in sorted(self.running):
                self.client.update(task, "TASK_KILLED", reason="REASON_EXECUTOR_TERMINATED")

    def finish(self) -> None:
        told: set[str] = set()
        while True:
            path = self.folder / "finish"
            names = set(path.read_text().split()) if path.exists() else set()
            for name in sorted(names - told):
                self.client.update(name, "TASK_FINISHED", message="as told")
                (self.folder / "finished").touch()
            told |= names
            time.sleep(0.02)

    def run(self) -> None:
        (self.folder / "pid").write_text(str(os.getpid()))
        threading.Thread(target=self.finish, daemon=True).start()
        why = self.client.run(self.handle)
        (self.folder / "end.new").write_text(f"{why}\n{self.client.trouble}\n")
        (self.folder / "end.new").rename(self.folder / "end")


if __name__ == "__main__":
    Program(Path.cwd()).run()
