"""The pages: one module for each screen, with its template of the same name."""

from __future__ import annotations

from oneshelf.web.pages import (
    channels,
    drifts,
    errors,
    explain,
    go_live,
    home,
    orders,
    pools,
    rules,
    short,
    skus,
    stock,
)

ROUTES = [
    route
    for screen in (home, skus, explain, drifts, errors, short, orders, stock, go_live, rules, pools, channels)
    for route in screen.ROUTES
]
