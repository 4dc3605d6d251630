"""What each route asks for, said here and nowhere else. A route that is not in this table is for admins alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from fastapi import APIRouter
from starlette.routing import BaseRoute

from oneshelf.domain.access import Scope

# Tells nothing, or asks for something else: a signature, a password, a link that is good once.
OPEN = None
_READ, _STOCK, _PUBLISH, _ADMIN = Scope.READ, Scope.STOCK_WRITE, Scope.PUBLISH_WRITE, Scope.ADMIN

# Address -> method -> scope.
NEEDS: Mapping[str, Mapping[str, Scope | None]] = {
    "/healthz": {"GET": OPEN},
    "/readyz": {"GET": OPEN},
    "/webhooks/{channel}": {"GET": OPEN, "POST": OPEN},
    "/checkout/{channel}": {"POST": OPEN},
    "/login": {"GET": OPEN, "POST": OPEN},
    "/login/style.css": {"GET": OPEN},
    "/set-up": {"GET": OPEN, "POST": OPEN},
    "/login/second": {"GET": OPEN, "POST": OPEN},
    "/login/oidc": {"GET": OPEN},
    "/login/oidc/return": {"GET": OPEN},
    "/logout": {"POST": _READ},
    "/account": {"GET": _READ},
    "/account/second-factor": {"GET": _READ, "POST": _READ},
    "/": {"GET": _READ},
    "/channels": {"GET": _READ},
    "/channels/{channel}": {"GET": _READ, "POST": _PUBLISH},
    # It asks the channel.
    "/channels/{channel}/check": {"GET": _PUBLISH},
    # What is typed there lets whoever has it into the shop.
    "/connect": {"GET": _ADMIN},
    "/connect/{kind}": {"GET": _ADMIN, "POST": _ADMIN},
    "/conflicts": {"GET": _READ},
    "/conflicts/{conflict_id}": {"GET": _READ, "POST": _PUBLISH},
    "/drifts": {"GET": _READ},
    "/drifts/{drift_id}": {"GET": _READ, "POST": _PUBLISH},
    "/errors": {"GET": _READ, "POST": _STOCK},
    "/files": {"GET": _READ, "POST": _PUBLISH},
    "/files/{import_id}": {"GET": _READ, "POST": _PUBLISH},
    "/explain": {"GET": _READ},
    "/go-live": {"GET": _READ},
    "/go-live/{channel}": {"GET": _READ, "POST": _PUBLISH},
    "/orders": {"GET": _READ},
    "/rules": {"GET": _READ, "POST": _PUBLISH},
    "/rules/architecture": {"GET": _READ, "POST": _PUBLISH},
    "/rules/history": {"GET": _READ},
    "/rules/pools": {"GET": _READ, "POST": _PUBLISH},
    "/settings": {"GET": _READ},
    "/settings/people": {"GET": _ADMIN, "POST": _ADMIN},
    "/settings/people/{name}": {"POST": _ADMIN},
    "/settings/tokens": {"GET": _ADMIN, "POST": _ADMIN},
    "/settings/tokens/{name}": {"POST": _ADMIN},
    "/settings/activity": {"GET": _ADMIN},
    "/settings/events": {"GET": _ADMIN, "POST": _ADMIN},
    "/settings/events/{endpoint}": {"POST": _ADMIN},
    "/short": {"GET": _READ},
    "/skus": {"GET": _READ},
    "/skus/{sku}": {"GET": _READ, "POST": _PUBLISH},
    "/stock": {"GET": _READ, "POST": _STOCK},
    "/wholesale": {"GET": _READ},
    "/stock/counts/{task}": {"GET": _READ, "POST": _STOCK},
    "/favicon.ico": {"GET": _READ},
    "/metrics": {"GET": _READ},
    "/openapi.json": {"GET": _READ},
    "/v1/skus": {"GET": _READ, "POST": _STOCK},
    "/v1/skus/{sku}": {"GET": _READ},
    "/v1/skus/{sku}/movements": {"GET": _READ},
    "/v1/skus/{sku}/sharing": {"GET": _READ, "PUT": _PUBLISH},
    "/v1/skus/{sku}/pools": {"GET": _READ},
    "/v1/sharing": {"PUT": _PUBLISH},
    "/v1/exposures": {"GET": _READ},
    "/v1/locations": {"GET": _READ, "POST": _STOCK},
    "/v1/commands": {"POST": _STOCK},
    "/v1/counts": {"POST": _STOCK},
    "/v1/count-tasks": {"GET": _READ, "POST": _STOCK},
    "/v1/count-tasks/{task}": {"GET": _READ},
    "/v1/count-tasks/{task}/entries": {"POST": _STOCK},
    "/v1/count-tasks/{task}/decisions": {"POST": _STOCK},
    "/v1/shipments": {"GET": _READ},
    "/v1/transfers": {"GET": _READ},
    "/v1/inspections": {"GET": _READ},
    "/v1/low-stock": {"GET": _READ},
    "/v1/reorder-rules": {"GET": _READ, "PUT": _STOCK, "DELETE": _STOCK},
    "/v1/reservations": {"POST": _STOCK},
    "/v1/reservations/{reservation_id}": {"GET": _READ},
    "/v1/reservations/{reservation_id}/claim": {"POST": _STOCK},
    "/v1/reservations/{reservation_id}/extend": {"POST": _STOCK},
    "/v1/reservations/{reservation_id}/release": {"POST": _STOCK},
    "/v1/audit-log": {"GET": _ADMIN},
    "/v1/orders": {"GET": _READ},
    "/v1/errors": {"GET": _READ},
    "/v1/short": {"GET": _READ},
    "/v1/bundles": {"GET": _READ},
    "/v1/bundles/{sku}": {"PUT": _PUBLISH},
    "/v1/kits": {"GET": _READ},
    "/v1/kits/{sku}": {"PUT": _STOCK, "DELETE": _STOCK},
    "/v1/backorders": {"GET": _READ, "PUT": _PUBLISH},
    "/v1/drifts": {"GET": _READ},
    "/v1/drifts/{drift_id}": {"GET": _READ},
    "/v1/drifts/{drift_id}/resolution": {"PUT": _PUBLISH},
    "/v1/drift-detection": {"GET": _READ},
    "/v1/policies": {"GET": _READ, "PUT": _PUBLISH, "DELETE": _PUBLISH},
    "/v1/policies/allocations": {"GET": _READ, "PUT": _PUBLISH, "DELETE": _PUBLISH},
    "/v1/policies/allocations/refill": {"POST": _PUBLISH},
    # Only reads, as the one of policies.
    "/v1/policies/allocations/preview": {"POST": _READ},
    "/v1/policies/groups": {"PUT": _PUBLISH},
    "/v1/policies/history": {"GET": _READ},
    # Only reads; what it is asked about does not fit into an address.
    "/v1/policies/preview": {"POST": _READ},
    "/v1/sources": {"GET": _READ, "PUT": _PUBLISH},
    "/v1/statements": {"GET": _READ, "POST": _STOCK},
    "/v1/truth-rules": {"GET": _READ, "PUT": _PUBLISH, "DELETE": _PUBLISH},
    "/v1/truth-rules/history": {"GET": _READ},
    "/v1/truth-rules/preview": {"POST": _READ},
    "/v1/architecture": {"GET": _READ, "PUT": _PUBLISH},
    "/v1/architecture/preview": {"POST": _READ},
    "/v1/conflicts": {"GET": _READ},
    "/v1/conflicts/{conflict_id}": {"GET": _READ},
    "/v1/conflicts/{conflict_id}/ruling": {"PUT": _PUBLISH},
    "/v1/wholesale/orders": {"GET": _READ, "POST": _STOCK},
    "/v1/wholesale/orders/{customer}/{po_number}": {"GET": _READ},
    "/v1/wholesale/cancellations": {"POST": _STOCK},
    "/v1/wholesale/releases": {"POST": _STOCK},
    "/v1/wholesale/resumptions": {"POST": _STOCK},
    "/v1/wholesale/shipments": {"POST": _STOCK},
    "/v1/listings": {"GET": _READ},
    "/v1/tills/{channel}/stock": {"GET": _READ},
    "/v1/tills/{channel}/devices": {"GET": _READ},
    "/v1/channels": {"GET": _READ},
    "/v1/channels/{channel}/plan": {"GET": _READ},
    "/v1/channels/{channel}/windows": {"GET": _READ},
    "/v1/channels/{channel}/listings/{channel_sku}/explain": {"GET": _READ},
    "/v1/channels/{channel}/sign-off": {"POST": _PUBLISH},
    "/v1/channels/{channel}/release": {"POST": _PUBLISH},
    "/v1/alerts": {"GET": _READ},
    "/v1/events": {"GET": _READ},
    "/v1/endpoints": {"GET": _ADMIN},
    "/v1/endpoints/{endpoint}": {"PUT": _ADMIN, "DELETE": _ADMIN},
    "/v1/endpoints/{endpoint}/pause": {"POST": _ADMIN},
    "/v1/endpoints/{endpoint}/resume": {"POST": _ADMIN},
    "/v1/endpoints/{endpoint}/rotate": {"POST": _ADMIN},
    "/v1/endpoints/{endpoint}/replay": {"POST": _ADMIN},
    "/v1/endpoints/{endpoint}/test": {"POST": _ADMIN},
    # Links and policies come in files too.
    "/v1/imports": {"GET": _READ, "POST": _PUBLISH},
    "/v1/imports/{import_id}": {"GET": _READ},
    "/v1/imports/{import_id}/stop": {"POST": _PUBLISH},
    "/v1/exports/{kind}": {"GET": _READ},
}


def each_route(routes: Sequence[BaseRoute]) -> Iterator[tuple[Any, str]]:
    """The routes of an application, those of its routers too, in the order in which it looks for one, with their
    addresses as `NEEDS` has them. Mounted files are not routes.
    """
    for route in routes:
        router = getattr(route, "original_router", None)
        if isinstance(router, APIRouter):
            yield from each_route(router.routes)
        elif getattr(route, "path_regex", None) is not None and getattr(route, "methods", None):
            path: str = route.path  # type: ignore[attr-defined]  # every route here has one
            yield route, path.replace(":path}", "}")


class Needs:
    """What a request asks for, found as the application finds its route."""

    def __init__(self, routes: Sequence[BaseRoute]) -> None:
        self._exact: dict[tuple[str, str], Scope | None] = {}
        self._patterns: list[tuple[Any, frozenset[str], str]] = []
        for route, path in each_route(routes):
            if "{" in path:
                self._patterns.append((route.path_regex, frozenset(route.methods), path))
            else:
                self._exact.update({(method, path): _declared(method, path) for method in route.methods})

    def of(self, method: str, path: str) -> tuple[str, Scope | None]:
        """The address of the route, and the scope that it needs; OPEN where it needs none. For no route at all READ."""
        if (method, path) in self._exact:
            return path, self._exact[method, path]
        for pattern, methods, declared in self._patterns:
            if method in methods and pattern.match(path):
                return declared, _declared(method, declared)
        return "no route", Scope.READ


def _declared(method: str, path: str) -> Scope | None:
    return NEEDS.get(path, {}).get("GET" if method == "HEAD" else method, Scope.ADMIN)
