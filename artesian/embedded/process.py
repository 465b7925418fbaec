"""What every process of the engine does alike: its config, its log, its event loop, and SIGTERM."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
from pathlib import Path
from typing import Any, Protocol

import structlog
import uvloop

from artesian.embedded.config import load_config
from artesian.embedded.errors import ConfigError, EngineError
from artesian.host.logs import log_as_json

EXIT_CONFIG = 2
EXIT_FAILED = 1


class Service(Protocol):
    """A process' work."""

    async def start(self) -> None: ...
    async def stop(self) -> None: ...


def configure_logging() -> None:
    """JSON lines on standard error; level from ARTESIAN_LOG (default info)."""
    level = getattr(logging, os.environ.get("ARTESIAN_LOG", "info").upper(), logging.INFO)
    log_as_json(sys.stderr, level)


def run_process(argv: list[str], config_class: type[Any], service_class: Any) -> int:
    """Run one service in the foreground until SIGTERM or SIGINT; returns the exit code."""
    if len(argv) != 1:
        print(f"usage: python -m {service_class.__module__.rsplit('.', 1)[0]} CONFIG", file=sys.stderr)
        return EXIT_CONFIG
    configure_logging()
    try:
        config = load_config(config_class, Path(argv[0]))
        secret = config.read_secret()
    except (ConfigError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return EXIT_CONFIG

    async def work() -> None:
        service = service_class(config, secret)
        stopping = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stopping.set)
        await service.start()
        await stopping.wait()
        await service.stop()

    try:
        uvloop.run(work())
    except (EngineError, OSError) as error:
        structlog.get_logger().error("process.failed", error=str(error))
        print(f"error: {error}", file=sys.stderr)
        return EXIT_FAILED
    return 0
