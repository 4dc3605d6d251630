"""Follows a oneshelf engine: verifies what comes, and keeps the newest figures of each SKU. Ten lines, no framework.

WEBHOOK_SECRET=whsec_... python receiver.py 9000
"""

from __future__ import annotations

import os
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer

from standardwebhooks.webhooks import Webhook, WebhookVerificationError

# In a database of yours, written in the transaction that uses the figures.
SEEN: set[str] = set()
STOCK: dict[str, dict[str, object]] = {}


class Receiver(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        try:
            event = Webhook(os.environ["WEBHOOK_SECRET"]).verify(body, {k.lower(): v for k, v in self.headers.items()})
        except WebhookVerificationError:
            self.send_response(400)
        else:
            if event["id"] not in SEEN:  # The same one may come twice.
                SEEN.add(event["id"])
                if event["type"] == "stock.changed":
                    STOCK[event["data"]["sku"]] = event["data"]
                    print(event["data"]["sku"], event["data"]["ats"], flush=True)
            self.send_response(204)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """One line per SKU is enough."""


if __name__ == "__main__":
    server = HTTPServer(("127.0.0.1", int(sys.argv[1])), Receiver)
    print(server.server_port, flush=True)
    server.serve_forever()
