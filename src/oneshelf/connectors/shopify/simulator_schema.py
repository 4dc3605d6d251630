"""The part of the Admin API that the simulator serves: what our documents use, and what its rules need.

Written for this simulator; tests/contract/test_shopify_documents.py proves that each type, field and argument
here is one of the official schema, with the same type.
"""

from __future__ import annotations

from collections.abc import Mapping

from graphql import GraphQLDirective, GraphQLField, GraphQLSchema, build_schema

from oneshelf.connectors.shopify.simulator_operation import BULK_OPERATIONS
from oneshelf.connectors.shopify.simulator_routes import ROUTES
from oneshelf.connectors.shopify.simulator_stock_writes import STOCK_WRITES
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
  inventoryItems(first: Int, after: String): InventoryItemConnection!
  bulkOperation(id: ID!): BulkOperation
  bulkOperations(
    first: Int
    after: String
    sortKey: BulkOperationsSortKeys = CREATED_AT
  ): BulkOperationConnection!
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
  bulkOperationRunQuery(query: String!, groupObjects: Boolean! = false): BulkOperationRunQueryPayload
  bulkOperationCancel(id: ID!): BulkOperationCancelPayload
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
  edges: [ProductVariantEdge!]!
  pageInfo: PageInfo!
}

type ProductVariantEdge {
  node: ProductVariant!
}

type InventoryItem implements Node {
  id: ID!
  sku: String
  tracked: Boolean!
  inventoryLevel(locationId: ID!, includeInactive: Boolean = false): InventoryLevel
  inventoryLevels(first: Int, after: String, includeInactive: Boolean = false): InventoryLevelConnection!
}

type InventoryItemConnection {
  nodes: [InventoryItem!]!
  edges: [InventoryItemEdge!]!
  pageInfo: PageInfo!
}

type InventoryItemEdge {
  node: InventoryItem!
}

type InventoryLevelConnection {
  nodes: [InventoryLevel!]!
  edges: [InventoryLevelEdge!]!
  pageInfo: PageInfo!
}

type InventoryLevelEdge {
  node: InventoryLevel!
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
"""

_TOPICS = f"\nenum WebhookSubscriptionTopic {{ {' '.join(TOPICS)} }}\n"
SCHEMA: GraphQLSchema = build_schema(f"{SDL}{STOCK_WRITES}{ROUTES}{SUBSCRIPTIONS}{BULK_OPERATIONS}{_TOPICS}")

MUTATIONS: Mapping[str, GraphQLField] = SCHEMA.mutation_type.fields if SCHEMA.mutation_type else {}
IDEMPOTENT: GraphQLDirective = next(each for each in SCHEMA.directives if each.name == "idempotent")
