"""Spells addresses in every way that some program, somewhere, reads as that address."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Address, IPv6Address

PRIVATE = (
    "127.0.0.1",
    "127.255.255.254",
    "10.0.0.1",
    "10.255.255.255",
    "172.16.0.1",
    "172.31.255.254",
    "192.168.0.1",
    "192.168.255.254",
    "100.64.0.1",
    "198.18.0.1",
    "192.0.0.1",
    "192.0.2.1",
    "198.51.100.1",
    "203.0.113.1",
)
NEVER = (  # whatever is allowed
    "169.254.169.254",
    "169.254.170.2",
    "169.254.0.1",
    "100.100.100.200",
    "168.63.129.16",
    "192.0.0.192",
    "0.0.0.0",
    "0.1.2.3",
    "224.0.0.1",
    "239.255.255.250",
    "240.0.0.1",
    "255.255.255.255",
)
NEVER_V6 = ("::", "fe80::1", "fe80::a9fe:a9fe", "ff02::1", "ff0e::1", "fd00:ec2::254")
PRIVATE_V6 = ("::1", "fc00::1", "fd12:3456:789a::1", "2001:db8::1", "100::1", "fec0::1")


def spellings(address: str) -> Iterator[str]:
    """Yield hosts that stand for an IPv4 address."""
    a, b, c, d = (int(part) for part in address.split("."))
    number = int(IPv4Address(address))
    yield address
    yield f"{address}."
    yield str(number)
    yield f"{number:#x}"
    yield f"0{number:o}"
    yield f"{a:#x}.{b:#x}.{c:#x}.{d:#x}"
    yield f"0{a:o}.0{b:o}.0{c:o}.0{d:o}"
    yield f"{a}.{b}.{c * 256 + d}"
    yield f"{a}.{(b << 16) + (c << 8) + d}"
    yield f"{a:#x}.{b}.0{c:o}.{d}"
    yield "".join(chr(0xFF10 + int(c)) if c.isdigit() else c for c in address)  # full width
    yield address.replace(".", "\N{IDEOGRAPHIC FULL STOP}")
    yield "".join(f"%{ord(c):02x}" for c in address)
    yield f"[::ffff:{address}]"
    yield f"[::ffff:{number >> 16:x}:{number & 0xFFFF:x}]"
    yield f"[0:0:0:0:0:ffff:{address}]"
    yield f"[::{address}]"
    yield f"[2002:{number >> 16:x}:{number & 0xFFFF:x}::1]"
    yield f"[64:ff9b::{address}]"
    yield f"[{IPv6Address(0x2001 << 112 | (number ^ 0xFFFFFFFF))}]"  # teredo


def tricks(address: str) -> Iterator[str]:
    """Yield URLs that look as if they led elsewhere."""
    yield f"http://example.org@{address}/x.png"
    yield f"http://example.org:80@{address}/x.png"
    yield f"http://example.org%2f@{address}/x.png"
    yield f"http://{address}\\@example.org/x.png"
    yield f"http://{address}#@example.org/x.png"
    yield f"http://{address}?@example.org/x.png"
    yield f"http://{address}%00.example.org/x.png"
    yield f"http://{address}%0d%0aHost:%20example.org/x.png"
    yield f"http://{address}\r\nHost: example.org/x.png"
    yield f"http://\t{address}/x.png"
    yield f"hTTp://{address}/x.png"
    yield f"http:///{address}/x.png"
    yield f"http:\\\\{address}/x.png"
    yield f"http://{address}:80:80/x.png"
    yield f"http://{address}:99999/x.png"
    yield f"http://[{address}]/x.png"
    yield f"http://[::ffff:{address}%25eth0]/x.png"
    yield f"https://{address}:22/x.png"
