"""The pages: one module for each screen, with its template of the same name."""

from __future__ import annotations

from oneshelf.web.pages import (
    channels,
    counts,
    drifts,
    errors,
    explain,
    go_live,
    home,
    orders,
    rules,
    short,
    skus,
    stock,
    wholesale,
)

ROUTES = [
    route
    for screen in (
        home,
        skus,
        explain,
        drifts,
        errors,
        short,
        orders,
        wholesale,
        stock,
        counts,
        go_live,
        rules,
        channels,
    )
    for route in screen.ROUTES
]
