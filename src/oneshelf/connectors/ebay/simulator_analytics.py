"""The Analytics API of the simulated eBay: what is left of the day's calls, from the counters that refuse them.

https://developer.ebay.com/api-docs/developer/analytics/resources/rate_limit/methods/getRateLimits (checked
2026-11-26). Asking takes from no other API's quota.
"""

from __future__ import annotations

from collections.abc import Sequence

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from oneshelf.connectors.ebay.simulator_gate import APIS, INVENTORY, INVENTORY_READ, PUBLIC, EbayError, Gate

PATH = "/developer/analytics/v1_beta"
_API = APIS["analytics"]


class AnalyticsApi:
    """The routes, behind the gate and about it."""

    def __init__(self, gate: Gate) -> None:
        self._gate = gate

    def routes(self) -> Sequence[BaseRoute]:
        return [
            Route(f"{PATH}/rate_limit/", self._of_application, methods=["GET"]),
            Route(f"{PATH}/user_rate_limit/", self._of_user, methods=["GET"]),
        ]

    async def _of_application(self, request: Request) -> Response:
        return self._answer(request, (PUBLIC,), is_user=False)

    async def _of_user(self, request: Request) -> Response:
        return self._answer(request, (INVENTORY, INVENTORY_READ), is_user=True)

    def _answer(self, request: Request, scopes: Sequence[str], *, is_user: bool) -> Response:
        refusal = self._gate.admit(request, _API, scopes)
        if refusal is not None:
            return refusal
        if is_user and not self._gate.is_user(request):
            return EbayError(403, 1100, "ACCESS", "Insufficient permissions to fulfill the request.").response()
        name, context = (request.query_params.get(one, "") for one in ("api_name", "api_context"))
        rates = self._gate.rates(name=name, context=context)
        return JSONResponse({"rateLimits": rates}) if rates else Response(status_code=204)
