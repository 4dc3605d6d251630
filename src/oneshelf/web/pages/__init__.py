"""The pages: one module for each screen, with its template of the same name."""

from __future__ import annotations

from oneshelf.web.pages import home, skus

ROUTES = [*home.ROUTES, *skus.ROUTES]
