"""`/metrics` for Prometheus: shut unless a token or a network is named; then for those alone."""

import hmac
from collections.abc import Iterator
from ipaddress import ip_address, ip_network
from typing import Final

from django.conf import settings
from django.db import Error
from django.http import Http404, HttpRequest, HttpResponse
from django.views.decorators.http import require_safe
from prometheus_client.core import Metric
from prometheus_client.exposition import choose_encoder

from tasks_app.observability.metric_report import report_as
from tasks_app.queries.gauges import gauges
from tasks_app.queries.metric_totals import totals

ROLE: Final = "api"


class Everything:
    """What `prometheus_client` writes out."""

    def collect(self) -> Iterator[Metric]:
        """Yield totals and gauges."""
        yield from totals()
        yield from gauges()


@require_safe
def metrics(request: HttpRequest) -> HttpResponse:
    """Answer with all that is counted; 404 where nobody may ask, 401 to whoever may not."""
    if not (settings.METRICS_TOKEN or settings.METRICS_ALLOWED_NETWORKS):
        raise Http404
    if not (_knows_the_token(request) or _asks_from_inside(request)):
        refusal = HttpResponse(status=401)
        refusal["WWW-Authenticate"] = 'Bearer realm="metrics"'
        return refusal
    encode, content_type = choose_encoder(request.headers.get("Accept", ""))
    try:
        report_as(ROLE).write()
        body = encode(Everything())
    except Error:
        return HttpResponse(status=503)
    return HttpResponse(body, content_type=content_type, headers={"Cache-Control": "no-store"})


def _knows_the_token(request: HttpRequest) -> bool:
    scheme, _, given = request.headers.get("Authorization", "").partition(" ")
    wanted = settings.METRICS_TOKEN
    same = hmac.compare_digest(given.strip().encode(), wanted.encode())
    return bool(wanted) and scheme.lower() == "bearer" and same


def _asks_from_inside(request: HttpRequest) -> bool:
    """Tell whether all who handed this request on lie in the networks: peer, proxy and client."""
    forwarded = request.META.get("HTTP_X_FORWARDED_FOR", "")
    hops = [request.META.get("REMOTE_ADDR", ""), *filter(None, forwarded.split(","))]
    return all(_is_inside(hop.strip()) for hop in hops)


def _is_inside(text: str) -> bool:
    try:
        address = ip_address(text)
    except ValueError:
        return False
    return any(address in ip_network(net) for net in settings.METRICS_ALLOWED_NETWORKS)
