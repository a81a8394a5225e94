"""Runs the service on a socket."""

import ipaddress
import signal
import socket
import sys
from contextlib import closing, suppress

import uvicorn
from fastapi import FastAPI

from leadgate.errors import RefusedError


def bind(host: str, port: int) -> socket.socket:
    """A listening socket, taken before anything slow is loaded. Raises RefusedError for a port in use."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # The protocol is named because asyncio turns Nagle's algorithm off only where it is: else each answer waits 40 ms.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(2048)
    except OSError as error:
        listener.close()
        raise RefusedError(
            f"Cannot listen on {host}:{port} ({error.strerror}); stop the other program or give another --port."
        ) from error
    return listener


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach the address."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def serve(app: FastAPI, listener: socket.socket) -> None:
    """Answer requests until SIGINT or SIGTERM; finishes what is in flight, then returns.

    uvicorn raises the signal again when it has stopped; SIGTERM then has to end the process by its ordinary way out,
    so that exit handlers run (the embedded PostgreSQL stops with its last user) and the exit code is 0.
    """
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    config = uvicorn.Config(app, log_level="warning", access_log=False, timeout_graceful_shutdown=30)
    with closing(listener), suppress(KeyboardInterrupt):
        uvicorn.Server(config).run(sockets=[listener])
