"""A bulk operation of the simulated shop, and the part of the schema that is about them."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from graphql import DocumentNode

from oneshelf.connectors.shopify.json_reading import gid
from oneshelf.connectors.shopify.simulator_payloads import stamp

BULK_OPERATIONS = """
scalar URL
scalar UnsignedInt64

enum BulkOperationStatus { CANCELED CANCELING COMPLETED CREATED EXPIRED FAILED RUNNING }
enum BulkOperationErrorCode { ACCESS_DENIED INTERNAL_SERVER_ERROR TIMEOUT }
enum BulkOperationType { MUTATION QUERY }
enum BulkOperationUserErrorCode { INVALID LIMIT_REACHED OPERATION_IN_PROGRESS }
enum BulkOperationsSortKeys { COMPLETED_AT CREATED_AT }

type BulkOperation implements Node {
  id: ID!
  status: BulkOperationStatus!
  type: BulkOperationType!
  query: String!
  errorCode: BulkOperationErrorCode
  createdAt: DateTime!
  completedAt: DateTime
  objectCount: UnsignedInt64!
  rootObjectCount: UnsignedInt64!
  fileSize: UnsignedInt64
  url: URL
  partialDataUrl: URL
}

type BulkOperationConnection {
  nodes: [BulkOperation!]!
  pageInfo: PageInfo!
}

type BulkOperationUserError {
  code: BulkOperationUserErrorCode
  field: [String!]
  message: String!
}

type BulkOperationRunQueryPayload {
  bulkOperation: BulkOperation
  userErrors: [BulkOperationUserError!]!
}

type BulkOperationCancelPayload {
  bulkOperation: BulkOperation
  userErrors: [UserError!]!
}
"""

# What is neither of these is over.
UNDER_WAY = frozenset({"CREATED", "RUNNING", "CANCELING"})


@dataclass(slots=True)
class Operation:
    """One operation. `written`: its lines so far; `place`: where in the catalogue it goes on.

    `fails_at`: the place at which it fails, None: it does not. Who knows `token` may read the file until `expires_at`.
    """

    number: int
    query: str
    document: DocumentNode
    created_at: datetime
    token: str
    fails_at: int | None = None
    status: str = "CREATED"
    error: str | None = None
    completed_at: datetime | None = None
    expires_at: float = float("inf")
    place: int = 0
    object_count: int = 0
    root_count: int = 0
    written: bytearray = field(default_factory=bytearray)

    @property
    def id(self) -> str:
        return gid("BulkOperation", str(self.number))

    def node(self, address: str) -> dict[str, Any]:
        """As the Admin API shows it. Numbers beyond 2**53 may come, so they are told as text. `address`: of the file.

        Recorded 2026-04 of a real shop: one that was cancelled early has neither file, and its counts stay.
        """
        is_over = self.status not in UNDER_WAY
        return {
            "__typename": "BulkOperation",
            "id": self.id,
            "status": self.status,
            "type": "QUERY",
            "query": self.query,
            "errorCode": self.error,
            "createdAt": stamp(self.created_at),
            "completedAt": stamp(self.completed_at) if self.completed_at else None,
            "objectCount": str(self.object_count),
            "rootObjectCount": str(self.root_count),
            "fileSize": str(len(self.written)) if is_over and self.written else None,
            "url": address if self.status == "COMPLETED" and self.written else None,
            "partialDataUrl": address if self.status == "FAILED" and self.written else None,
        }
