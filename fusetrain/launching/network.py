"""How this host is reached by the others: its address, and the interface that has it."""

from __future__ import annotations

import contextlib
import fcntl
import socket
import struct

GET_ADDRESS = 0x8915  # SIOCGIFADDR of Linux


def own_address(endpoint: str) -> str:
    """Return the address by which this host reaches ``host:port``; nothing is sent for that."""
    host, _, port = endpoint.rpartition(":")
    host = host.strip("[]")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with contextlib.suppress(OSError), socket.socket(family, socket.SOCK_DGRAM) as probe:
        probe.connect((host, int(port) or 1))
        return str(probe.getsockname()[0])
    return "127.0.0.1"


def is_own(endpoint: str) -> bool:
    """Return whether this host is the one that ``host:port`` names."""
    host = endpoint.rpartition(":")[0].strip("[]")
    own = own_address(endpoint)
    with contextlib.suppress(OSError):
        found = {info[4][0] for info in socket.getaddrinfo(host, None)}
        return own in found or any(str(address).startswith("127.") for address in found)
    return False


def interface_of(address: str) -> str:
    """Return the network interface that has an IPv4 address; empty where none is found."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        for _, name in socket.if_nameindex():
            with contextlib.suppress(OSError):
                asked = struct.pack("256s", name.encode())
                answer = fcntl.ioctl(probe.fileno(), GET_ADDRESS, asked)
                if socket.inet_ntoa(answer[20:24]) == address:
                    return name
    return ""
