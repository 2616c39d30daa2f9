"""Says which internet addresses inputs may be fetched from."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

# Refused whatever the settings say: link-local, multicast, reserved, and where clouds keep secrets.
NEVER = tuple(
    ip_network(text)
    for text in (
        "0.0.0.0/8",
        "169.254.0.0/16",
        "224.0.0.0/4",
        "240.0.0.0/4",
        "100.100.100.200/32",
        "168.63.129.16/32",
        "192.0.0.192/32",
        "::/128",
        "fe80::/10",
        "ff00::/8",
        "fd00:ec2::/32",
        "fd20:ce::/32",
    )
)
NOT_GLOBAL = tuple(
    ip_network(text) for text in ("192.0.0.0/24", "192.88.99.0/24", "3fff::/20", "2001:db8::/32")
)
GLOBAL_V6 = ip_network("2000::/3")
COMPATIBLE = ip_network("::/96")  # what IPv4 was written as before it was mapped
# Networks whose addresses end in that of an IPv4 machine: NAT64 (RFC 6052, 8215), SIIT (RFC 7915).
ENDING_IN_V4 = tuple(
    ip_network(text) for text in ("64:ff9b::/96", "64:ff9b:1::/48", "::ffff:0:0:0/96")
)
ISATAP = (0x5EFE, 0x02005EFE)  # the first half of an interface's name, before its IPv4 address


def may_reach(text: str, *, allow_private: bool) -> bool:
    """Tell whether the address `text` may be connected to. What is no address may not."""
    try:
        address = _plain(ip_address(text.partition("%")[0]))
    except ValueError:
        return False
    if any(address in network for network in NEVER):
        return False
    return allow_private or _public(address)


def _plain(address: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    """Return the IPv4 address that an IPv6 address stands for, if it does, else itself."""
    if isinstance(address, IPv4Address):
        return address
    behind = any(address in network for network in ENDING_IN_V4)
    tunnel = int(address) >> 32 & 0xFFFFFFFF in ISATAP
    if behind or tunnel or (address in COMPATIBLE and int(address) > 1):
        return IPv4Address(int(address) & 0xFFFFFFFF)
    tunnelled = address.teredo[1] if address.teredo else None
    return address.ipv4_mapped or address.sixtofour or tunnelled or address


def _public(address: IPv4Address | IPv6Address) -> bool:
    if isinstance(address, IPv6Address) and address not in GLOBAL_V6:
        return False
    return address.is_global and not any(address in network for network in NOT_GLOBAL)
