"""Logs: one line per change of state, noun.verb plus keys, never a payload, a secret or a buyer.

Also the marker that a transaction is open, which the channels' HTTP client checks before each call.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import structlog

# The last word of a key: `access_token` and `X-Access-Token` are tokens, `token_url` is not.
_REDACTED_WORDS = frozenset({"secret", "secrets", "token", "password", "authorization", "body"})
# What AWS calls its two halves of a secret, what Square signs webhooks with, and who may ask at a checkout.
_REDACTED_ENDINGS = ("access_key", "access_key_id", "signature_key", "checkout_user")
_inside_transaction: ContextVar[bool] = ContextVar("inside_transaction", default=False)


def get_logger(name: str) -> structlog.stdlib.BoundLogger:
    """The log of one module; call it with `log.info("listing.pushed", listing=…, units=…)`."""
    logger: structlog.stdlib.BoundLogger = structlog.get_logger(name)
    return logger


def configure_logging(*, as_json: bool = False, level: str = "INFO") -> None:
    """Send logs to standard error: coloured lines for a person, JSON for a machine."""
    # It would say at each attempt, with the address, what our own errors and the steps say once.
    logging.getLogger("psycopg.pool").setLevel(logging.CRITICAL)
    renderer: Any = (
        structlog.processors.JSONRenderer() if as_json else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            _redact,
            structlog.processors.format_exc_info,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelName(level.upper())),
        # Looked up at each line: standard error may have been replaced since.
        logger_factory=lambda *_names: structlog.PrintLogger(file=sys.stderr),
        cache_logger_on_first_use=False,
    )


def _redact(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    for key in event:
        name = key.lower().replace("-", "_")
        if name.rpartition("_")[2] in _REDACTED_WORDS or name.endswith(_REDACTED_ENDINGS):
            event[key] = "[redacted]"
    return event


@contextmanager
def transaction_open() -> Iterator[None]:
    """Mark that this task holds a database transaction."""
    mark = _inside_transaction.set(True)
    try:
        yield
    finally:
        _inside_transaction.reset(mark)


def is_inside_transaction() -> bool:
    """Whether this task holds a database transaction, in which no channel may be called."""
    return _inside_transaction.get()
