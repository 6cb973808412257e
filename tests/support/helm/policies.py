"""What NetworkPolicies let through, worked out as the network of a cluster does."""

import ipaddress
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.support.helm.objects import Object, Pod, matches

NAMESPACE_NAME = "kubernetes.io/metadata.name"


@dataclass(frozen=True)
class Peer:
    """Somebody who calls or is called.

    Args:
        name: How messages call them.
        namespace: Empty for who is outside of the cluster.
        labels: The pod's.
        ports: The ports it opens, by name.
        address: Its IP address; rules for addresses count for pods too, as most networks have it.
        namespace_labels: Beside the name, which every namespace has as a label.
    """

    name: str
    namespace: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    ports: Mapping[str, int] = field(default_factory=dict)
    address: str = "203.0.113.7"
    namespace_labels: Mapping[str, str] = field(default_factory=dict)

    @property
    def space(self) -> Mapping[str, str]:
        """The labels of its namespace."""
        return {NAMESPACE_NAME: self.namespace, **self.namespace_labels}


def peer_of(pod: Pod, namespace: str, number: int) -> Peer:
    """A pod of the chart's."""
    return Peer(pod.component, namespace, pod.labels, pod.ports(), f"10.244.0.{number}")


class Network:
    """Policies of one namespace, and what they let through."""

    def __init__(self, policies: Iterable[Object], namespace: str) -> None:
        self._policies, self._namespace = list(policies), namespace

    def allows(self, source: Peer, target: Peer, port: int, protocol: str = "TCP") -> bool:
        """Whether `source` may connect to `port` of `target`."""
        out = self._one_way("Egress", source, target, target, port, protocol)
        return out and self._one_way("Ingress", target, source, target, port, protocol)

    def _one_way(self, way: str, subject: Peer, other: Peer, target: Peer, port: int, protocol: str) -> bool:
        selecting = [policy.spec for policy in self._policies if self._selects(policy, subject, way)]
        if not selecting:
            return True
        rules = [rule for spec in selecting for rule in spec.get(way.lower()) or []]
        side = "to" if way == "Egress" else "from"
        return any(
            self._knows(rule.get(side), other) and _opens(rule.get("ports"), target, port, protocol) for rule in rules
        )

    def _selects(self, policy: Object, subject: Peer, way: str) -> bool:
        types = policy.spec.get("policyTypes") or ["Ingress", *(["Egress"] if "egress" in policy.spec else [])]
        here = subject.namespace == self._namespace
        return way in types and here and matches(policy.spec.get("podSelector"), subject.labels)

    def _knows(self, peers: list[Mapping[str, Any]] | None, other: Peer) -> bool:
        """Whether the list of a rule has `other`; a rule without a list has everybody."""
        return not peers or any(self._is(peer, other) for peer in peers)

    def _is(self, peer: Mapping[str, Any], other: Peer) -> bool:
        if block := peer.get("ipBlock"):
            address = ipaddress.ip_address(other.address)
            inside = address in ipaddress.ip_network(block["cidr"])
            return inside and not any(address in ipaddress.ip_network(part) for part in block.get("except") or [])
        if not other.namespace:
            return False
        if "namespaceSelector" in peer:
            place = matches(peer["namespaceSelector"], other.space)
        else:
            place = other.namespace == self._namespace
        return place and matches(peer.get("podSelector"), other.labels)


def _opens(ports: list[Mapping[str, Any]] | None, target: Peer, port: int, protocol: str) -> bool:
    """Whether the ports of a rule have `port`; a rule without any has all."""
    return not ports or any(_is_port(each, target, port, protocol) for each in ports)


def _is_port(rule: Mapping[str, Any], target: Peer, port: int, protocol: str) -> bool:
    if rule.get("protocol", "TCP") != protocol:
        return False
    named = rule.get("port")
    if named is None:
        return True
    first = target.ports.get(named) if isinstance(named, str) else named
    return first is not None and first <= port <= rule.get("endPort", first)
