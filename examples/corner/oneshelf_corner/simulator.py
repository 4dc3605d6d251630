"""A simulated corner shop: the wire on top of books that the SDK keeps."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict
from typing import Any

import httpx2
import msgspec
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from oneshelf.clock import Clock
from oneshelf.sdk.capability import Limit
from oneshelf.sdk.signature import hmac_sha256_base64
from oneshelf.sdk.simulated_shop import Article, Sale, ShopSimulator
from oneshelf.sdk.simulator import SimulatedAccount

TOKEN = "corner-simulated-token"
PAGE = 50


class CornerSimulator(ShopSimulator):
    def __init__(
        self, *, seed: int, speed: float, clock: Clock, webhook_client: httpx2.AsyncClient | None = None
    ) -> None:
        calls = Limit("all", rate_per_s=10.0, burst=20)
        super().__init__(kind="corner", seed=seed, speed=speed, clock=clock, calls=calls)
        self._client = webhook_client or httpx2.AsyncClient()
        self._address, self._secret, self._told = "", "", 0

    def account(self, *, address: str, webhook_secrets: Sequence[str] = ("hush",)) -> SimulatedAccount:
        return SimulatedAccount({"base_url": address}, {"token": TOKEN, "webhook_secret": ",".join(webhook_secrets)})

    def wire(self) -> Sequence[BaseRoute]:
        return [
            Route("/api/me", self.behind(self._me, token=TOKEN)),
            Route("/api/orders", self.behind(self._orders, token=TOKEN)),
            Route("/api/items", self.behind(self._items, token=TOKEN)),
            Route("/api/items/quantities", self.behind(self._write, token=TOKEN, is_write=True), methods=["POST"]),
        ]

    async def _me(self, _request: Request) -> Response:
        return JSONResponse({"shop": "Corner", "may": ["orders", "quantities"]})

    async def _orders(self, request: Request) -> Response:
        after, since = int(request.query_params.get("after", 0)), request.query_params.get("since", "")
        changed = sorted(self.sales.values(), key=lambda sale: sale.change)
        rest = [sale for sale in changed if sale.change > after and sale.changed_at.isoformat() >= since]
        position = rest[:PAGE][-1].change if rest else self.change
        told = [_order(sale) for sale in rest[:PAGE]]
        return JSONResponse({"orders": told, "position": position, "more": len(rest) > PAGE})

    async def _items(self, request: Request) -> Response:
        rest = [one for one in self.articles.values() if one.channel_sku > request.query_params.get("after", "")]
        if "ids" in request.query_params:
            rest = [one for one in rest if one.channel_sku in request.query_params["ids"].split(",")]
        shown = [one for one in rest if not one.is_ended]
        more = shown[PAGE - 1].channel_sku if len(shown) > PAGE else None
        return JSONResponse({"items": [_item(one) for one in shown[:PAGE]], "next": more})

    async def _write(self, request: Request) -> Response:
        changes = msgspec.json.decode(await request.body())["changes"]
        if len(changes) > PAGE:
            return JSONResponse({"error": f"at most {PAGE} changes"}, status_code=422)
        return JSONResponse({"results": [self._changed_to(change) for change in changes]})

    def _changed_to(self, change: dict[str, Any]) -> str:
        article = self.articles.get(change["id"])
        if article is None or article.is_ended:
            return "unknown"
        if not article.is_tracked:
            return "untracked"
        if article.units != change["from"]:
            return "stale"
        self.write_units(article.channel_sku, change["to"])
        return "ok"

    def connect(self, *, address: str, secret: str) -> None:
        self._address, self._secret = address, secret

    def announce(self, *, sale: Sale | None = None, article: Article | None = None) -> None:
        news = {"order": _order(sale)} if sale else {"item": article.channel_sku} if article else {}
        self._told += 1
        body = msgspec.json.encode({**news, "number": self._told})
        headers = {"X-Corner-Signature": hmac_sha256_base64(self._secret, body)}

        async def deliver() -> None:
            if self._address:
                with suppress(httpx2.HTTPError):  # nobody there: the shop does not try again
                    await self._client.post(self._address, content=body, headers=headers)

        self.after(self.random.uniform(0.2, 2.0), deliver)


def _order(sale: Sale) -> dict[str, Any]:
    lines = [
        {"id": one.line_id, "item": one.channel_sku, "quantity": one.units}
        | {name: asdict(one)[name] for name in ("cancelled", "restocked", "shipped", "returned")}
        for one in sale.lines
    ]
    stamps = {"placed_at": sale.placed_at.isoformat(), "changed_at": sale.changed_at.isoformat()}
    return {"id": sale.order_id, "change": sale.change, **stamps, "lines": lines}


def _item(article: Article) -> dict[str, Any]:
    shown = {"id": article.channel_sku, "sku": article.sku, "title": article.title}
    return {**shown, "quantity": article.units, "tracked": article.is_tracked}
