"""The part of the Admin API that the simulator serves: what our documents use, and what its rules need.

Written for this simulator; tests/contract/test_shopify_documents.py proves that each type, field and argument
here is one of the official schema, with the same type.
"""

from __future__ import annotations

from collections.abc import Mapping

from graphql import GraphQLDirective, GraphQLField, GraphQLSchema, build_schema

from oneshelf.connectors.shopify.simulator_routes import ROUTES
from oneshelf.connectors.shopify.simulator_topics import SUBSCRIPTIONS, TOPICS

SDL = """
schema { query: QueryRoot mutation: Mutation }

directive @idempotent(key: String!) on FIELD

scalar DateTime

interface Node { id: ID! }

type PageInfo {
  hasNextPage: Boolean!
  endCursor: String
}

type QueryRoot {
  nodes(ids: [ID!]!): [Node]!
  productVariants(
    first: Int
    after: String
    sortKey: ProductVariantSortKeys = ID
  ): ProductVariantConnection!
  orders(first: Int, after: String, query: String, sortKey: OrderSortKeys = PROCESSED_AT): OrderConnection!
  order(id: ID!): Order
  fulfillmentOrders(
    first: Int
    after: String
    query: String
    includeClosed: Boolean = false
    sortKey: FulfillmentOrderSortKeys = ID
  ): FulfillmentOrderConnection!
  shop: Shop!
  currentAppInstallation: AppInstallation!
  location(id: ID): Location
  locations(first: Int, after: String): LocationConnection!
  inventoryProperties: InventoryProperties!
  webhookSubscriptions(first: Int, after: String): WebhookSubscriptionConnection!
}

type Mutation {
  inventorySetQuantities(input: InventorySetQuantitiesInput!): InventorySetQuantitiesPayload
  webhookSubscriptionCreate(
    topic: WebhookSubscriptionTopic!
    webhookSubscription: WebhookSubscriptionInput!
  ): WebhookSubscriptionCreatePayload
  webhookSubscriptionDelete(id: ID!): WebhookSubscriptionDeletePayload
  inventoryAdjustQuantities(input: InventoryAdjustQuantitiesInput!): InventoryAdjustQuantitiesPayload
  inventoryMoveQuantities(input: InventoryMoveQuantitiesInput!): InventoryMoveQuantitiesPayload
  inventoryActivate(inventoryItemId: ID!, locationId: ID!, available: Int, onHand: Int): InventoryActivatePayload
}

enum ProductVariantSortKeys { ID SKU }
enum OrderSortKeys { PROCESSED_AT UPDATED_AT ID }

type Shop implements Node {
  id: ID!
  name: String!
  myshopifyDomain: String!
}

type AppInstallation implements Node {
  id: ID!
  accessScopes: [AccessScope!]!
}

type AccessScope { handle: String! }

type InventoryProperties { quantityNames: [InventoryQuantityName!]! }

type InventoryQuantityName {
  name: String!
  belongsTo: [String!]!
  comprises: [String!]!
  isInUse: Boolean!
}

type Location implements Node {
  id: ID!
  name: String!
  isActive: Boolean!
  isFulfillmentService: Boolean!
}

type LocationConnection {
  nodes: [Location!]!
  pageInfo: PageInfo!
}

type ProductVariant implements Node {
  id: ID!
  sku: String
  displayName: String!
  inventoryItem: InventoryItem!
}

type ProductVariantConnection {
  nodes: [ProductVariant!]!
  pageInfo: PageInfo!
}

type InventoryItem implements Node {
  id: ID!
  sku: String
  tracked: Boolean!
  inventoryLevel(locationId: ID!, includeInactive: Boolean = false): InventoryLevel
}

type InventoryLevel implements Node {
  id: ID!
  isActive: Boolean!
  updatedAt: DateTime!
  location: Location!
  quantities(names: [String!]!): [InventoryQuantity!]!
}

type InventoryQuantity implements Node {
  id: ID!
  name: String!
  quantity: Int!
  updatedAt: DateTime
}

type Order implements Node {
  id: ID!
  name: String!
  test: Boolean!
  createdAt: DateTime!
  updatedAt: DateTime!
  cancelledAt: DateTime
  sourceName: String
  retailLocation: Location
  fulfillmentOrders(first: Int, after: String): FulfillmentOrderConnection!
  lineItems(first: Int, after: String): LineItemConnection!
  fulfillments(first: Int): [Fulfillment!]!
  refunds(first: Int): [Refund!]!
}

type OrderConnection {
  nodes: [Order!]!
  pageInfo: PageInfo!
}

type LineItem implements Node {
  id: ID!
  sku: String
  quantity: Int!
  currentQuantity: Int!
  unfulfilledQuantity: Int!
  variant: ProductVariant
}

type LineItemConnection {
  nodes: [LineItem!]!
  pageInfo: PageInfo!
}

type Fulfillment implements Node {
  id: ID!
  status: FulfillmentStatus!
  location: Location
  fulfillmentLineItems(first: Int, after: String): FulfillmentLineItemConnection!
}

enum FulfillmentStatus { CANCELLED ERROR FAILURE SUCCESS }

type FulfillmentLineItem implements Node {
  id: ID!
  quantity: Int
  lineItem: LineItem!
}

type FulfillmentLineItemConnection {
  nodes: [FulfillmentLineItem!]!
  pageInfo: PageInfo!
}

type Refund implements Node {
  id: ID!
  createdAt: DateTime
  refundLineItems(first: Int, after: String): RefundLineItemConnection!
}

type RefundLineItem {
  quantity: Int!
  restockType: RefundLineItemRestockType!
  restocked: Boolean!
  location: Location
  lineItem: LineItem!
}

enum RefundLineItemRestockType { CANCEL LEGACY_RESTOCK NO_RESTOCK RETURN }

type RefundLineItemConnection {
  nodes: [RefundLineItem!]!
  pageInfo: PageInfo!
}

input InventorySetQuantitiesInput {
  name: String!
  reason: String!
  referenceDocumentUri: String
  quantities: [InventoryQuantityInput!]!
}

input InventoryQuantityInput {
  inventoryItemId: ID!
  locationId: ID!
  quantity: Int!
  changeFromQuantity: Int
}

type InventorySetQuantitiesPayload {
  inventoryAdjustmentGroup: InventoryAdjustmentGroup
  userErrors: [InventorySetQuantitiesUserError!]!
}

input InventoryAdjustQuantitiesInput {
  name: String!
  reason: String!
  referenceDocumentUri: String
  changes: [InventoryChangeInput!]!
}

input InventoryChangeInput {
  inventoryItemId: ID!
  locationId: ID!
  delta: Int!
  changeFromQuantity: Int
  ledgerDocumentUri: String
}

type InventoryAdjustQuantitiesPayload {
  inventoryAdjustmentGroup: InventoryAdjustmentGroup
  userErrors: [InventoryAdjustQuantitiesUserError!]!
}

input InventoryMoveQuantitiesInput {
  reason: String!
  referenceDocumentUri: String!
  changes: [InventoryMoveQuantityChange!]!
}

input InventoryMoveQuantityChange {
  inventoryItemId: ID!
  quantity: Int!
  from: InventoryMoveQuantityTerminalInput!
  to: InventoryMoveQuantityTerminalInput!
}

input InventoryMoveQuantityTerminalInput {
  locationId: ID!
  name: String!
  changeFromQuantity: Int
  ledgerDocumentUri: String
}

type InventoryMoveQuantitiesPayload {
  inventoryAdjustmentGroup: InventoryAdjustmentGroup
  userErrors: [InventoryMoveQuantitiesUserError!]!
}

type InventoryActivatePayload {
  inventoryLevel: InventoryLevel
  userErrors: [UserError!]!
}

type UserError {
  field: [String!]
  message: String!
}

type InventoryAdjustmentGroup implements Node {
  id: ID!
  createdAt: DateTime!
  reason: String!
  referenceDocumentUri: String
  changes: [InventoryChange!]!
}

type InventoryChange {
  name: String!
  delta: Int!
  quantityAfterChange: Int
  ledgerDocumentUri: String
  item: InventoryItem
  location: Location
}

type InventorySetQuantitiesUserError {
  code: InventorySetQuantitiesUserErrorCode
  field: [String!]
  message: String!
}

enum InventorySetQuantitiesUserErrorCode {
  CHANGE_FROM_QUANTITY_STALE
  IDEMPOTENCY_CONCURRENT_REQUEST
  IDEMPOTENCY_KEY_PARAMETER_MISMATCH
  IDEMPOTENCY_PREVIOUS_ATTEMPT_FAILED
  INVALID_INVENTORY_ITEM
  INVALID_LOCATION
  INVALID_NAME
  INVALID_QUANTITY_TOO_HIGH
  INVALID_QUANTITY_TOO_LOW
  INVALID_REASON
  NON_MUTABLE_INVENTORY_ITEM
  NO_DUPLICATE_INVENTORY_ITEM_ID_GROUP_ID_PAIR
}

type InventoryAdjustQuantitiesUserError {
  code: InventoryAdjustQuantitiesUserErrorCode
  field: [String!]
  message: String!
}

enum InventoryAdjustQuantitiesUserErrorCode {
  CHANGE_FROM_QUANTITY_STALE
  IDEMPOTENCY_CONCURRENT_REQUEST
  IDEMPOTENCY_KEY_PARAMETER_MISMATCH
  IDEMPOTENCY_PREVIOUS_ATTEMPT_FAILED
  INTERNAL_LEDGER_DOCUMENT
  INVALID_AVAILABLE_DOCUMENT
  INVALID_INVENTORY_ITEM
  INVALID_LOCATION
  INVALID_QUANTITY_DOCUMENT
  INVALID_QUANTITY_NAME
  INVALID_QUANTITY_TOO_HIGH
  INVALID_QUANTITY_TOO_LOW
  INVALID_REASON
  MAX_ONE_LEDGER_DOCUMENT
  NON_MUTABLE_INVENTORY_ITEM
}

type InventoryMoveQuantitiesUserError {
  code: InventoryMoveQuantitiesUserErrorCode
  field: [String!]
  message: String!
}

enum InventoryMoveQuantitiesUserErrorCode {
  CHANGE_FROM_QUANTITY_STALE
  DIFFERENT_LOCATIONS
  IDEMPOTENCY_CONCURRENT_REQUEST
  IDEMPOTENCY_KEY_PARAMETER_MISMATCH
  IDEMPOTENCY_PREVIOUS_ATTEMPT_FAILED
  INTERNAL_LEDGER_DOCUMENT
  INVALID_AVAILABLE_DOCUMENT
  INVALID_INVENTORY_ITEM
  INVALID_LOCATION
  INVALID_QUANTITY_DOCUMENT
  INVALID_QUANTITY_NAME
  INVALID_QUANTITY_NEGATIVE
  INVALID_QUANTITY_TOO_HIGH
  INVALID_REASON
  MAXIMUM_LEDGER_DOCUMENT_URIS
  MOVE_QUANTITIES_FAILED
  NON_MUTABLE_INVENTORY_ITEM
  SAME_QUANTITY_NAME
}
"""

_TOPICS = f"\nenum WebhookSubscriptionTopic {{ {' '.join(TOPICS)} }}\n"
SCHEMA: GraphQLSchema = build_schema(f"{SDL}{ROUTES}{SUBSCRIPTIONS}{_TOPICS}")

MUTATIONS: Mapping[str, GraphQLField] = SCHEMA.mutation_type.fields if SCHEMA.mutation_type else {}
IDEMPOTENT: GraphQLDirective = next(each for each in SCHEMA.directives if each.name == "idempotent")
