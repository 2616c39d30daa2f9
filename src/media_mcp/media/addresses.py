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
        "fd00:ec2::254/128",
    )
)
NOT_GLOBAL = (ip_network("192.0.0.0/24"), ip_network("192.88.99.0/24"))
GLOBAL_V6 = ip_network("2000::/3")
NAT64 = ip_network("64:ff9b::/96")
COMPATIBLE = ip_network("::/96")  # what IPv4 was written as before it was mapped


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
    if address in NAT64 or (address in COMPATIBLE and int(address) > 1):
        return IPv4Address(int(address) & 0xFFFFFFFF)
    tunnelled = address.teredo[1] if address.teredo else None
    return address.ipv4_mapped or address.sixtofour or tunnelled or address


def _public(address: IPv4Address | IPv6Address) -> bool:
    if isinstance(address, IPv6Address):
        return address in GLOBAL_V6 and address.is_global
    return address.is_global and not any(address in network for network in NOT_GLOBAL)
