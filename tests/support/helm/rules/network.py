"""Rule: what NetworkPolicies let through is the call graph, neither more nor less.

The graph is worked out of what each pod is told: who has knowledge's address may reach knowledge, who has the
database's may reach the database. That services are told what their code calls is a rule of its own.
"""

from collections.abc import Iterator, Mapping

from tests.support.helm import code
from tests.support.helm.chart import NAMESPACE, Rendering
from tests.support.helm.environ import environment
from tests.support.helm.objects import Pod, pods_of
from tests.support.helm.policies import Network, Peer, peer_of

Edge = tuple[str, str, int]  # who calls, who is called, on which port

DNS = Peer("dns", "kube-system", {"k8s-app": "kube-dns"}, {"dns": 53, "dns-tcp": 53}, "10.244.9.53")
POSTGRES = Peer("postgres", address="198.51.100.5")
REDIS = Peer("redis", address="198.51.100.6")
ANY_HTTPS = Peer("https", address="198.51.100.8")
COLLECTOR = Peer("collector", "monitoring", {"app": "otel-collector"}, {"otlp": 4317}, "10.244.9.17")
PROMETHEUS = Peer("prometheus", "monitoring", {"app.kubernetes.io/name": "prometheus"}, {}, "10.244.9.90")
INGRESS = Peer("ingress", "ingress-nginx", {"app.kubernetes.io/name": "ingress-nginx"}, {}, "10.244.9.80")
STRANGER = Peer("stranger", "somewhere", {"app": "something"}, {"http": 8080}, "10.244.9.66")
NEIGHBOUR = Peer("neighbour", NAMESPACE, {"app.kubernetes.io/name": "other"}, {"http": 8080}, "10.244.9.67")
KUBERNETES = Peer("kubernetes", address="172.20.0.1")
METADATA = Peer("cloud", address="169.254.169.254")

DATABASE_PORT, REDIS_PORT, HTTPS, OTLP, METRICS, HTTP = 5432, 6379, 443, 4317, 9100, 4000
OUTSIDE: Mapping[str, tuple[Peer, int]] = {
    "database": (POSTGRES, DATABASE_PORT),
    "redis": (REDIS, REDIS_PORT),
    "https": (ANY_HTTPS, HTTPS),
    "otlp": (COLLECTOR, OTLP),
}


def policies_are_the_call_graph(chart: Rendering) -> Iterator[str]:
    """For every two that could speak, and every port, what is let through is what one of them is told to call."""
    if not chart.values["networkPolicy"]["enabled"]:
        if chart.of("NetworkPolicy"):
            yield "there are policies though values want none"
        return
    for (source, target, port), wanted, allowed in edges(chart):
        if wanted != allowed:
            yield f"{source} → {target}:{port} is {'held' if wanted else 'let through'}"


def edges(chart: Rendering) -> Iterator[tuple[Edge, bool, bool]]:
    """Every connection there could be: whether the graph has it, and whether policies let it through."""
    pods = [pod for pod in pods_of(chart.objects) if pod.component]
    peers = [peer_of(pod, NAMESPACE, number) for number, pod in enumerate(pods, 10)]
    network = Network(chart.of("NetworkPolicy"), NAMESPACE)
    for pod, source in zip(pods, peers, strict=True):
        wants = set(calls(chart, pod))
        yield from _between(network, source, [(peer, port) for peer in peers for port in peer.ports.values()], wants)
        yield from _between(network, source, targets_outside(chart), wants)
    for source in (PROMETHEUS, INGRESS, STRANGER, NEIGHBOUR, Peer("internet")):
        called = [(peer, port) for peer in peers for port in peer.ports.values()]
        yield from _between(network, source, called, set(comes_in(chart, source)))


def _between(
    network: Network, source: Peer, called: list[tuple[Peer, int]], wants: set[tuple[str, int]]
) -> Iterator[tuple[Edge, bool, bool]]:
    for target, port in called:
        if target is not source:
            protocol = "UDP" if target is DNS else "TCP"
            allowed = network.allows(source, target, port, protocol)
            yield (source.name, target.name, port), (target.name, port) in wants, allowed


def targets_outside(chart: Rendering) -> list[tuple[Peer, int]]:
    """Who is called beside the chart's own pods, and who must not be."""
    database = [(peer, DATABASE_PORT) for peer in (cluster_pod(chart), POSTGRES) if peer][:1]
    forbidden = [(KUBERNETES, HTTPS), (METADATA, 80), (STRANGER, 8080), (NEIGHBOUR, 8080)]
    known = [(REDIS, REDIS_PORT), (ANY_HTTPS, HTTPS), (COLLECTOR, OTLP), (DNS, 53)]
    return [*database, *known, *forbidden[1:]]


def cluster_pod(chart: Rendering) -> Peer | None:
    """A pod of the database that an operator runs, if one does."""
    for found in chart.of("Cluster"):
        return Peer(
            "postgres", NAMESPACE, {"cnpg.io/cluster": found.name}, {"postgresql": DATABASE_PORT}, "10.244.9.32"
        )
    return None


def calls(chart: Rendering, pod: Pod) -> Iterator[tuple[str, int]]:
    """Whom a pod calls, by what its containers are told."""
    told: dict[str, str] = {}
    for container in pod.containers:
        told |= environment(chart, pod, container)
    yield "dns", 53
    for service in code.SERVICES:
        if f"{service.upper()}_ADDR" in told:
            yield service, int(told[f"{service.upper()}_ADDR"].rpartition(":")[2])
    if any(name.endswith("DATABASE_URL") for name in told):
        yield "postgres", DATABASE_PORT
    if "REDIS_URL" in told:
        yield "redis", REDIS_PORT
    https = {"EMBEDDING_SERVICE_URL", "SENTRY_DSN", "JWT_JWKS_URL"} & told.keys()
    if https or any(value.startswith("s3://") for value in told.values()):
        yield "https", HTTPS
    if "OTEL_EXPORTER_OTLP_ENDPOINT" in told:
        yield "collector", OTLP
    if pod.component == "test":
        yield "gateway", HTTP


def comes_in(chart: Rendering, source: Peer) -> Iterator[tuple[str, int]]:
    """What somebody outside of the chart calls: anybody the gateway, and whoever measures the metrics."""
    if source.name in ("ingress", "internet") or not chart.values["networkPolicy"]["gatewayFrom"]:
        yield "gateway", HTTP
    narrow = chart.values["networkPolicy"]["metricsFrom"]
    if source.name == "prometheus" or (source.namespace and not narrow):
        yield from ((service, METRICS) for service in code.SERVICES)


RULES = (policies_are_the_call_graph,)
