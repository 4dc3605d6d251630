"""A shop with a million SKUs and a past, made by the server itself."""

from __future__ import annotations

from typing import Any

import psycopg

SKUS = 1_000_000
# So many of the SKUs have been received, sold, reserved and sent on before.
HISTORY = 150_000

FILL = """
    -- The rows below fit together; asking for each of them whether it does would take longer than making it.
    set local session_replication_role = replica;
    insert into locations (location) values ('BER'), ('HAM');
    insert into channels (channel, kind, location) values ('shop', 'paper', 'BER');
    insert into skus (sku, created_at)
    select 'SKU-' || lpad(n::text, 7, '0'), now() from generate_series(1, {skus}) as n;
    insert into balances (sku, location, available, committed, reserved, version)
    select 'SKU-' || lpad(n::text, 7, '0'), 'BER', 20, (n % 10 = 0)::int, (n % 20 = 0)::int, 3
    from generate_series(1, {skus}) as n;
    insert into movements (sku, movement_id, posted_at, units, from_account, to_location, to_account, reason, source,
                           version)
    select 'SKU-' || lpad(n::text, 7, '0'), gen_random_uuid(), now(), 20, 'supplier', 'BER', 'available', 'received',
           'command load', 1
    from generate_series(1, {history}) as n;
    insert into orders (channel, order_id, placed_at, seen_at, snapshot)
    select 'shop', 'past-' || lpad(n::text, 7, '0'), now() - interval '30 days', now() - interval '30 days',
           '{{"lines": []}}'
    from generate_series(1, {history}) as n;
    insert into order_lines (sku, channel, order_id, line_id, location, channel_sku, placed_at, is_pending, pack_units,
                             units_pending, units_committed, units_shipped, units_short, units_off_listing)
    select 'SKU-' || lpad(n::text, 7, '0'), 'shop', 'past-' || lpad(n::text, 7, '0'), 'l1', 'BER',
           'SKU-' || lpad(n::text, 7, '0'), now() - interval '30 days', false, 1,
           0, (n % 10 = 0)::int, (n % 10 > 3)::int, (n > 2000 and n % 10 = 3)::int, 1
    from generate_series(1, {history}) as n;
    insert into reservations (sku, reservation_id, location, kind, units, units_short, state, created_at)
    select 'SKU-' || lpad(n::text, 7, '0'), gen_random_uuid(), 'BER', 'lock', 1, (n > 2000 and n % 20 = 5)::int,
           case when n % 20 = 0 or n > 2000 and n % 20 = 5 then 'held' else 'claimed' end, now() - interval '30 days'
    from generate_series(1, {history}) as n;
    insert into transfers (sku, transfer_id, origin, target, units_sent, units_arrived, created_at)
    select 'SKU-' || lpad(n::text, 7, '0'), 'past', 'BER', 'HAM', 1, (n % 10 <> 0)::int, now() - interval '30 days'
    from generate_series(1, {history}) as n;
    insert into commands (scope, key, fingerprint, kind, figures, posted_at)
    select 'load', lpad(n::text, 7, '0'), sha256(n::text::bytea), 'Posted', '{{}}', now()
    from generate_series(1, {history}) as n;
    insert into ruling_counts (sku, location, figure, units, counted_at, error_s, source)
    select 'SKU-' || lpad(n::text, 7, '0'), 'BER', 'on_hand', 20, now() - interval '60 days', 5, 'shelf'
    from generate_series(1, {history}) as n;
    insert into backorders (sku, location, kind, cap_units)
    select 'SKU-' || lpad(n::text, 7, '0'), 'BER', 'backorder', 5 from generate_series(1, {history}, 10) as n;
    insert into bundle_components (sku, component, units)
    select 'SKU-' || lpad(n::text, 7, '0'), 'SKU-' || lpad((n - 1)::text, 7, '0'), 2
    from generate_series({skus} - {history} / 10, {skus}) as n;
    insert into listings (channel, channel_sku, sku)
    select 'shop', 'SKU-' || lpad(n::text, 7, '0'), 'SKU-' || lpad(n::text, 7, '0') from generate_series(1, 2000) as n;
"""


def fill(connection: psycopg.Connection[Any]) -> None:
    """A million SKUs and balances. Nothing has been analysed, and nothing will be by itself."""
    tables = connection.execute(
        "select relname from pg_class where relnamespace = 'public'::regnamespace and relkind = 'r'"
    ).fetchall()
    for (table,) in tables:
        connection.execute(f"alter table {table} set (autovacuum_enabled = false)".encode())
    connection.execute(FILL.format(skus=SKUS, history=HISTORY).encode())
