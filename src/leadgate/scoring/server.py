"""The address that the service listens on."""

import ipaddress
import os
import socket
from pathlib import Path

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


def bind_privately(path: str) -> socket.socket:
    """A listening socket in the file system that only this user reaches."""
    Path(path).unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(0o177)
    try:
        listener.bind(path)
    finally:
        os.umask(before)
    listener.listen(128)
    return listener


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach the address."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
