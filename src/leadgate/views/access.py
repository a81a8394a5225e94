"""Who may look, and who may act (quiet).

Three ways in: nobody is asked (this machine only); a key of the API, by a login that leaves a signed cookie; or a login
proxy (OIDC) in front, which names the person in a header that is believed from its address only.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv6Address, ip_address, ip_network
from urllib.parse import urlsplit

from leadgate.scoring.keys import Scope

ALL: frozenset[Scope] = frozenset(("read", "operate", "approve"))
"""What the pages ask for; the other scopes are for programs."""


@dataclass(frozen=True, kw_only=True)
class ProxyRules:
    """A login proxy in front of the service."""

    header: str | None = None
    """Lower case; None without a proxy."""
    scopes: Mapping[str, Sequence[Scope]] = field(default_factory=dict)
    """What people may do, by the name that the proxy gives; * is everybody else."""
    trusted: Sequence[str] = ()
    """Addresses and networks from which the header is believed."""


@dataclass(frozen=True, kw_only=True)
class Viewer:
    """Somebody who looks."""

    name: str | None
    """Who acts; None where nobody is asked, so that each act asks for a name."""
    scopes: frozenset[Scope]
    csrf: str
    """What their forms have to show."""
    can_leave: bool = False
    """Whether there is a login to end here."""

    def may(self, scope: Scope) -> bool:
        """Whether they may do what asks for this."""
        return scope in self.scopes


def person_of(headers: Mapping[str, str], peer: str, rules: ProxyRules) -> tuple[str, frozenset[Scope]] | None:
    """Whom the proxy names, and what they may do; None without a proxy, from elsewhere, or for a nameless one."""
    if rules.header is None or not _trusted(peer, rules.trusted):
        return None
    name = headers.get(rules.header, "").strip()
    if not name:
        return None
    return name, frozenset(rules.scopes.get(name, rules.scopes.get("*", ()))) & ALL


def is_same_origin(headers: Mapping[str, str]) -> bool:
    """Whether a form was sent by a page of ours, as far as the browser says: Sec-Fetch-Site, else Origin, else Referer.

    A browser that says nothing of the kind is left to the form's own token.
    """
    site = headers.get("sec-fetch-site")
    if site is not None:
        return site in ("same-origin", "none")
    said = headers.get("origin") or headers.get("referer")
    return said is None or _place(said) == headers.get("host", "")


def _place(address: str) -> str | None:
    """Host and port of an address; None for what is none."""
    try:
        return urlsplit(address).netloc
    except ValueError:
        return None


def is_own_name(host: str) -> bool:
    """Whether a request names this machine itself.

    Where nobody is asked who they are, a page from elsewhere that lets its own name point here (DNS rebinding) would
    otherwise be one of ours.
    """
    try:
        name = urlsplit(f"//{host}").hostname or ""
        if name in ("localhost", "testserver"):
            return True
        return ip_address(name).is_loopback
    except ValueError:
        return False


def _trusted(peer: str, trusted: Sequence[str]) -> bool:
    try:
        said = ip_address(peer)
        # A socket that listens for both kinds of address gives the older one inside of the newer one.
        address = said.ipv4_mapped or said if isinstance(said, IPv6Address) else said
        return any(address in ip_network(each, strict=False) for each in trusted)
    except ValueError:
        return False
