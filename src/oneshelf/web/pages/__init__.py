"""The pages: one module for each screen, with its template of the same name."""

from __future__ import annotations

from oneshelf.web.pages import (
    activity,
    architecture,
    channels,
    conflicts,
    connect,
    counts,
    drifts,
    errors,
    events,
    explain,
    files,
    go_live,
    home,
    orders,
    people,
    pools,
    rules,
    settings,
    short,
    skus,
    stock,
    tokens,
    wholesale,
)

ROUTES = [
    route
    for screen in (
        *(home, skus, explain, drifts, conflicts, errors, short, orders, wholesale, stock, counts, files, go_live),
        *(rules, pools, architecture, connect, channels, settings, people, tokens, activity, events),
    )
    for route in screen.ROUTES
]
