"""The GraphQL documents we send, and the sizes of their lists.

Checked against the Admin API 2026-04, 2026-07 and 2026-10 by tests/contract/test_shopify_documents.py.
"""

from __future__ import annotations

# "Input arguments that accept an array have a maximum size of 250" (https://shopify.dev/api/usage/limits,
# checked 2026-11-23). `nodes(ids:)` is such an argument too.
ARRAY_LENGTH_MAX = 250

VARIANTS_PER_PAGE = 100
ORDERS_PER_PAGE = 10
ROUTES_PER_PAGE = 40
SUBSCRIPTIONS_PER_PAGE = 100

# What a polled order holds at once; nearly every order fits. One query may cost 1,000 points at most, and the cost
# grows with the product of nested sizes, so an order that does not fit is read again, alone, with WHOLE_ORDER.
POLLED_LINES = 30
POLLED_FULFILLMENTS = 5
POLLED_REFUNDS = 5
POLLED_ROUTES = 5
POLLED_NESTED_LINES = 20

WHOLE_LINES = 250
WHOLE_LISTS = 50

# What lies at the location, state by state. A list is priced as one object however many names it has.
QUANTITY_NAMES = (
    *("available", "committed", "on_hand", "damaged"),
    *("quality_control", "reserved", "safety_stock", "incoming"),
)
_NAMES = ", ".join(f'"{name}"' for name in QUANTITY_NAMES)

_VARIANT = f"""
fragment VariantParts on ProductVariant {{
  id
  sku
  displayName
  inventoryItem {{
    id
    sku
    tracked
    inventoryLevel(locationId: $location, includeInactive: true) {{
      isActive
      quantities(names: [{_NAMES}]) {{ name quantity }}
    }}
  }}
}}
"""

READ_VARIANTS = (
    """
query ReadVariants($ids: [ID!]!, $location: ID!) {
  nodes(ids: $ids) { ...VariantParts }
}
"""
    + _VARIANT
)

LIST_VARIANTS = (
    f"""
query ListVariants($location: ID!, $after: String) {{
  productVariants(first: {VARIANTS_PER_PAGE}, after: $after, sortKey: ID) {{
    nodes {{ ...VariantParts }}
    pageInfo {{ hasNextPage endCursor }}
  }}
}}
"""
    + _VARIANT
)

# `quantityAfterChange` is not asked for: it is null in every recorded answer, so it confirms nothing.
SET_AVAILABLE = """
mutation SetAvailable($input: InventorySetQuantitiesInput!, $key: String!) {
  inventorySetQuantities(input: $input) @idempotent(key: $key) {
    inventoryAdjustmentGroup { id }
    userErrors { code field message }
  }
}
"""

# Its errors have no code.
ACTIVATE = """
mutation Activate($item: ID!, $location: ID!, $available: Int, $key: String!) {
  inventoryActivate(inventoryItemId: $item, locationId: $location, available: $available) @idempotent(key: $key) {
    inventoryLevel { isActive }
    userErrors { field message }
  }
}
"""

# No app may adjust or move what is committed or on hand.
MOVE_UNITS = """
mutation MoveUnits($input: InventoryMoveQuantitiesInput!, $key: String!) {
  inventoryMoveQuantities(input: $input) @idempotent(key: $key) {
    inventoryAdjustmentGroup { id }
    userErrors { code field message }
  }
}
"""

ADJUST_UNITS = """
mutation AdjustUnits($input: InventoryAdjustQuantitiesInput!, $key: String!) {
  inventoryAdjustQuantities(input: $input) @idempotent(key: $key) {
    inventoryAdjustmentGroup { id }
    userErrors { code field message }
  }
}
"""


def _order(lines: int, fulfillments: int, refunds: int, routes: int, nested_lines: int) -> str:
    """The parts of an order that we keep. No name, address or e-mail of a buyer is among them.

    Its fulfilment orders say from where what is open will leave. They need a scope of their own (`$routed`).
    """
    return f"""
fragment OrderParts on Order {{
  id
  test
  createdAt
  updatedAt
  cancelledAt
  sourceName
  retailLocation {{ id }}
  lineItems(first: {lines}) {{
    nodes {{ id quantity currentQuantity unfulfilledQuantity variant {{ id }} }}
    pageInfo {{ hasNextPage }}
  }}
  fulfillments(first: {fulfillments}) {{
    status
    location {{ id }}
    fulfillmentLineItems(first: {nested_lines}) {{
      nodes {{ quantity lineItem {{ id }} }}
      pageInfo {{ hasNextPage }}
    }}
  }}
  refunds(first: {refunds}) {{
    refundLineItems(first: {nested_lines}) {{
      nodes {{ quantity restockType location {{ id }} lineItem {{ id }} }}
      pageInfo {{ hasNextPage }}
    }}
  }}
  fulfillmentOrders(first: {routes}) @include(if: $routed) {{
    nodes {{
      status
      updatedAt
      assignedLocation {{ location {{ id }} }}
      lineItems(first: {nested_lines}) {{
        nodes {{ remainingQuantity lineItem {{ id }} }}
        pageInfo {{ hasNextPage }}
      }}
    }}
    pageInfo {{ hasNextPage }}
  }}
}}
"""


POLL_ORDERS = f"""
query PollOrders($query: String!, $after: String, $routed: Boolean!) {{
  orders(first: {ORDERS_PER_PAGE}, after: $after, query: $query, sortKey: UPDATED_AT) {{
    nodes {{ ...OrderParts }}
    pageInfo {{ hasNextPage endCursor }}
  }}
}}
""" + _order(POLLED_LINES, POLLED_FULFILLMENTS, POLLED_REFUNDS, POLLED_ROUTES, POLLED_NESTED_LINES)

READ_ORDERS = """
query ReadOrders($ids: [ID!]!, $routed: Boolean!) {
  nodes(ids: $ids) { ...OrderParts }
}
""" + _order(POLLED_LINES, POLLED_FULFILLMENTS, POLLED_REFUNDS, POLLED_ROUTES, POLLED_NESTED_LINES)

WHOLE_ORDER = """
query WholeOrder($id: ID!, $routed: Boolean!) {
  order(id: $id) { ...OrderParts }
}
""" + _order(WHOLE_LINES, WHOLE_LISTS, WHOLE_LISTS, WHOLE_LISTS, WHOLE_LINES)

# No text says that an order counts as updated when it is to leave from another location.
POLL_ROUTES = f"""
query PollRoutes($query: String!, $after: String) {{
  fulfillmentOrders(first: {ROUTES_PER_PAGE}, after: $after, query: $query, includeClosed: true, sortKey: UPDATED_AT) {{
    nodes {{ updatedAt order {{ id updatedAt }} }}
    pageInfo {{ hasNextPage endCursor }}
  }}
}}
"""

SCOPES = "query Scopes { currentAppInstallation { accessScopes { handle } } }"

PREFLIGHT = """
query Preflight($location: ID!) {
  shop { name myshopifyDomain }
  currentAppInstallation { accessScopes { handle } }
  location(id: $location) { id name isActive isFulfillmentService }
  locations(first: 2) { nodes { id } }
  inventoryProperties { quantityNames { name } }
}
"""

LIST_SUBSCRIPTIONS = f"""
query ListSubscriptions($after: String) {{
  currentAppInstallation {{ accessScopes {{ handle }} }}
  webhookSubscriptions(first: {SUBSCRIPTIONS_PER_PAGE}, after: $after) {{
    nodes {{ id topic uri format filter includeFields }}
    pageInfo {{ hasNextPage endCursor }}
  }}
}}
"""

# The errors of these two have no code in the schema.
CREATE_SUBSCRIPTION = """
mutation CreateSubscription($topic: WebhookSubscriptionTopic!, $subscription: WebhookSubscriptionInput!) {
  webhookSubscriptionCreate(topic: $topic, webhookSubscription: $subscription) {
    webhookSubscription { id }
    userErrors { field message }
  }
}
"""

DELETE_SUBSCRIPTION = """
mutation DeleteSubscription($id: ID!) {
  webhookSubscriptionDelete(id: $id) {
    deletedWebhookSubscriptionId
    userErrors { field message }
  }
}
"""

# Of operations that may still run Shopify allows five; finished ones of an hour stand between them.
_OPERATIONS_LISTED = 50

FIND_BULK = f"""
query FindBulk {{
  bulkOperations(first: {_OPERATIONS_LISTED}, sortKey: CREATED_AT) {{
    nodes {{ id status type query }}
  }}
}}
"""

READ_BULK = """
query ReadBulk($id: ID!) {
  bulkOperation(id: $id) { id status errorCode objectCount rootObjectCount url partialDataUrl }
}
"""

# `groupObjects` would only cost time: no object of ours has children.
RUN_BULK = """
mutation RunBulk($query: String!) {
  bulkOperationRunQuery(query: $query, groupObjects: false) {
    bulkOperation { id status }
    userErrors { code field message }
  }
}
"""

# Its errors have no code in the schema.
CANCEL_BULK = """
mutation CancelBulk($id: ID!) {
  bulkOperationCancel(id: $id) {
    bulkOperation { id status }
    userErrors { field message }
  }
}
"""

# What a bulk operation is to write: a line for each variant. The level is no connection, so it comes within the line
# of its variant; as a connection it would come in lines of its own, for every location of the shop.
_BULK_VARIANTS = f"""
{{
  productVariants {{
    edges {{
      node {{
        id
        sku
        displayName
        inventoryItem {{
          id
          sku
          tracked
          inventoryLevel(locationId: "LOCATION", includeInactive: true) {{
            isActive
            quantities(names: [{_NAMES}]) {{ name quantity }}
          }}
        }}
      }}
    }}
  }}
}}
"""


def bulk_variants(location: str) -> str:
    """The query of a bulk operation that reads all variants at a location, which is a global id."""
    return _BULK_VARIANTS.replace("LOCATION", location)


QUERIES = (
    *(READ_VARIANTS, LIST_VARIANTS, POLL_ORDERS, POLL_ROUTES, READ_ORDERS, WHOLE_ORDER),
    *(SCOPES, PREFLIGHT, LIST_SUBSCRIPTIONS, FIND_BULK, READ_BULK),
)
MUTATIONS = (SET_AVAILABLE, ACTIVATE, MOVE_UNITS, ADJUST_UNITS)
# These take no idempotency key: they change no stock. A subscription that is made or deleted twice is refused; a bulk
# operation that was begun is looked for before another one is.
UNKEYED_MUTATIONS = (CREATE_SUBSCRIPTION, DELETE_SUBSCRIPTION, RUN_BULK, CANCEL_BULK)
