"""The part of the simulated shop's schema that is about webhook subscriptions, and the topics that there are."""

from __future__ import annotations

from collections.abc import Mapping

# The topics that can be subscribed to, as the schema spells them, from how the header does.
TOPICS: Mapping[str, str] = {
    topic.replace("/", "_").upper(): topic
    for topic in (
        *(f"inventory_levels/{what}" for what in ("connect", "update", "disconnect")),
        *(f"inventory_items/{what}" for what in ("create", "update", "delete")),
        *(f"orders/{what}" for what in ("create", "updated", "paid", "cancelled", "edited", "delete")),
        *("orders/fulfilled", "orders/partially_fulfilled", "refunds/create", "products/update"),
        *(f"fulfillment_orders/{what}" for what in ("order_routing_complete", "moved", "cancelled")),
        *(f"locations/{what}" for what in ("create", "update", "activate", "deactivate", "delete")),
        *("app/uninstalled", "app/scopes_update", "bulk_operations/finish"),
    )
}

SUBSCRIPTIONS = """
enum WebhookSubscriptionFormat { JSON XML }

type WebhookSubscription implements Node {
  id: ID!
  topic: WebhookSubscriptionTopic!
  uri: String!
  format: WebhookSubscriptionFormat!
  filter: String
  includeFields: [String!]!
}

type WebhookSubscriptionConnection {
  nodes: [WebhookSubscription!]!
  pageInfo: PageInfo!
}

input WebhookSubscriptionInput {
  uri: String
  format: WebhookSubscriptionFormat
  filter: String
  includeFields: [String!]
}

type WebhookSubscriptionCreatePayload {
  webhookSubscription: WebhookSubscription
  userErrors: [UserError!]!
}

type WebhookSubscriptionDeletePayload {
  deletedWebhookSubscriptionId: ID
  userErrors: [UserError!]!
}
"""
