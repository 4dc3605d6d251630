-- What `benchmarks.catalogue` fills a database with. `bench.skus`: how many SKUs.

create temporary view s as
    select i, 'SKU-' || lpad(i::text, 7, '0') as sku,
           case when i < few and i % 10 = 3 then 3 else 20 + i % 50 end as units, few
    from (select current_setting('bench.skus')::bigint as skus) as wanted
    cross join lateral (select greatest(2000, skus / 50) as few) as least
    cross join lateral generate_series(0, skus - 1) as i;
-- What grows slower: one in fifty SKUs, two thousand at least. One in ten of these has fewer units than were ordered.
create temporary view few as select i, sku, units from s where i < few;

create function pg_temp.uuid_of(i bigint) returns uuid language sql immutable as
    $$ select ('0199c000-0000-7000-8000-' || lpad(to_hex(i), 12, '0'))::uuid $$;
-- Of movements, in the order in which they were made.
create function pg_temp.moved(i bigint, k int) returns uuid language sql stable as $$
    select (lpad(to_hex((extract(epoch from now()) * 1000)::bigint), 12, '0') || '7' || lpad(to_hex(k), 3, '0')
            || '8000' || lpad(to_hex(i), 12, '0'))::uuid $$;

insert into locations (location) values ('warehouse'), ('outlet');
insert into channels (channel, kind, mode, location, signs_off, live_since)
select 'shop-' || n, 'bench', case when n < 3 then 'live' else 'watch' end, 'warehouse',
       case when n < 2 then 'channel' else 'listing' end, case when n < 3 then now() end
from generate_series(0, 3) as n;
insert into schedules (channel, task, every_s, last_done_at, covered_until)
select channel, task, 3600, now(), now() from channels, unnest(array['orders', 'stock']) as task;
insert into skus (sku, title, sku_group, is_guarded, mode)
select sku, 'Article ' || i, case when i % 100 = 0 then 'group-' || i % 1000 end, false,
       case when i % 10 = 0 then 'pooled' else 'auto' end from s;

-- The ledger. The first SKUs were ordered and reserved, as many as are few; one in a thousand is damaged.
insert into movements (sku, movement_id, units, from_account, to_location, to_account, reason, source, version)
select sku, pg_temp.moved(i, 1), units, 'supplier', 'warehouse', 'available', 'received', 'command first/' || i, 1 from s;
insert into movements (sku, movement_id, units, from_location, from_account, to_location, to_account, reason, source,
    version)
select sku, pg_temp.moved(i, 2), 1, 'warehouse', 'available', 'warehouse', 'committed', 'committed',
       'order shop-' || i % 3 || '/' || (1000000 + i) || '/1', 2 from few
union all
select sku, pg_temp.moved(i, 3), 1, 'warehouse', 'available', 'warehouse', 'reserved', 'reserved',
       'reservation ' || pg_temp.uuid_of(i), 3 from few
union all
select sku, pg_temp.moved(i, 4), 1, 'warehouse', 'available', 'warehouse', 'damaged', 'moved', 'command moved/' || i, 4
from s where i % 1000 = 7;
insert into movements (sku, movement_id, units, from_location, from_account, to_location, to_account, reason, source,
    version)
select sku, pg_temp.moved(i, 5), 1, 'warehouse', 'available', null, 'in_transit', 'dispatched', 'transfer T-' || i / 10, 5
from few
union all
select sku, pg_temp.moved(i, 6), 1, null, 'in_transit', 'outlet', 'available', 'arrived', 'transfer T-' || i / 10, 1
from few where i % 2 = 1
union all
select sku, pg_temp.moved(i, 7), 5, null, 'supplier', 'warehouse', 'incoming', 'announced', 'shipment PO-' || i / 10, 6
from few
union all
select sku, pg_temp.moved(i, 8), 5, 'warehouse', 'incoming', 'warehouse', 'available', 'unloaded',
       'shipment PO-' || i / 10, 7
from few where i % 2 = 0;
insert into balances (sku, location, available, committed, reserved, damaged, incoming, version)
select s.sku, 'warehouse', s.units - 3 * is_few - (s.i % 1000 = 7)::int + 5 * is_few * (s.i % 2 = 0)::int, is_few,
       is_few, (s.i % 1000 = 7)::int, 5 * is_few * (s.i % 2)::int, 7
from (select s.*, (few.i is not null)::int as is_few from s left join few on few.i = s.i) as s
union all
select sku, 'outlet', 1, 0, 0, 0, 0, 1 from few where i % 2 = 1;
insert into orders (channel, order_id, placed_at, seen_at, posted_at, snapshot)
select 'shop-' || i % 3, (1000000 + i)::text, at, at, at, jsonb_build_object(
    'channel', 'shop-' || i % 3, 'order_id', (1000000 + i)::text, 'version', at, 'placed_at', at, 'is_pending', false,
    'lines', jsonb_build_array(jsonb_build_object('line_id', '1', 'channel_sku', (40000000000000 + i)::text,
        'units_ordered', case when i % 10 = 3 then 2 else 1 end, 'units_cancelled', 0, 'units_relisted', 0,
        'units_shipped', 0)))
from (select i, now() - i % 5000 * interval '1 minute' as at from few) as few;
insert into order_lines (sku, channel, order_id, line_id, location, channel_sku, placed_at, units_pending,
    units_committed, units_shipped, units_short, is_pending, pack_units, units_off_listing)
select sku, 'shop-' || i % 3, (1000000 + i)::text, '1', 'warehouse', (40000000000000 + i)::text,
       now() - i % 5000 * interval '1 minute', 0, 1, 0, (i % 10 = 3)::int, false, 1, 1 + (i % 10 = 3)::int from few;
insert into reservations (sku, reservation_id, location, kind, units, units_short, state, holder, created_at)
select sku, pg_temp.uuid_of(i), 'warehouse', 'lock', 1, 0, 'held', 'cart-' || i, now() - i * interval '1 second' from few;
insert into sku_sales (sku, channel, slot_at, units, line_count)
select sku, 'shop-' || i % 3, date_trunc('hour', now()) - i % 168 * interval '1 hour', 1, 1 from few;

-- Listings. The ids of Shopify's variants are as long. In a thousand at a live channel: one unlinked, two parked, one
-- suspect, ten drifting, twenty waiting, five accepted; the others are proved. Of each figure there is a publication.
insert into listings (channel, channel_sku, merchant_sku, title, sku, phase, parked_reason, desired_units,
    desired_version, desired_at, sent_units, sent_version, sent_at, accepted_version, accepted_at, verified_units,
    verified_version, verified_at, net_units, base_units, base_net, suspect_units, suspect_belief, suspect_net,
    suspect_at, signed_off_at, signed_off_by)
select 'shop-' || n, (40000000000000 + i)::text, case when k = 500 then 'TWIN-' || i / 2000 else sku end, 'Article ' || i,
       case when k <> 500 then sku end,
       case when k in (1, 2) then 'parked' when k between 40 and 44 then 'accepted' else 'idle' end,
       case when k in (1, 2) then 'The item cannot be listed or modified.' else '' end,
       case when k <> 500 then case when k between 20 and 39 and i % 3 = 0 then 0 else units end end,
       (k <> 500)::int + (k between 20 and 44)::int, now(),
       case when n < 3 then units end, case when k between 40 and 44 then 2 else (n < 3)::int end, now(),
       case when k between 40 and 44 then 2 else (n < 3)::int end, now(), case when n < 3 then units end, (n < 3)::int,
       now() - i % 3600 * interval '1 second', case when ordered then 1 else 0 end,
       case when n < 3 then units - 3 * (k between 20 and 44)::int else 7 + i % 60 end + ordered::int, 0,
       case when k = 3 then 1 end, case when k = 3 then units end, case when k = 3 then 0 end,
       case when k = 3 then now() end, case when n = 2 then now() end, case when n = 2 then 'Ada' else '' end
from (select s.*, n, (s.i * 7 + n * 131) % 1000 as k, few.i is not null and n = s.i % 3 as ordered
      from s cross join generate_series(0, 3) as n left join few on few.i = s.i) as s;
insert into publications (channel, channel_sku, version, sku, units, derivation, planned_at, sent_at, accepted_at,
    verified_at)
select l.channel, l.channel_sku, v, l.sku, l.desired_units, jsonb_build_object('available',
    jsonb_build_object('warehouse', l.desired_units), 'ledger_versions', '{"warehouse": 1}'::jsonb, 'in_suspense', 0,
    'suspense_version', 0, 'available_to_sell', l.desired_units, 'pack_units', 1), now(),
    case when v <= l.sent_version then now() end, case when v <= l.accepted_version then now() end,
    case when v <= l.verified_version then now() end
from listings l, generate_series(1, l.desired_version) as v where l.sku is not null;
insert into drifts (drift_id, channel, channel_sku, sku, cause, expected_units, observed_units, opened_at, resolved_at,
    resolution)
select gen_random_uuid(), 'shop-' || n, (40000000000000 + i)::text, sku,
       (array['foreign edit', 'lost write', 'unseen order', 'unknown'])[1 + i % 4], units, units - 3,
       now() - i * interval '1 second', case when not is_open then now() end,
       case when is_open then '' else 'republished' end
from (select s.*, n, (s.i * 7 + n * 131) % 1000 between 4 and 13 as is_open from s, generate_series(0, 2) as n) as s
where is_open or (i + n) % 20 = 0;
insert into observations (channel, channel_sku, observed_at, units, believed, source)
select channel, channel_sku, opened_at, observed_units, expected_units, 'reconcile' from drifts;

-- What waits for a person, and what was said and done.
insert into inbox (channel, delivery_key, topic, body, received_at, state, reason)
select 'shop-' || i % 3, 'key-' || i, 'orders/create', '{}', now() - i * interval '1 second',
       case when i % 20 = 0 then 'parked' else 'done' end, case when i % 20 = 0 then 'no line of it can be read' else '' end
from few;
insert into facts (channel, order_id, snapshot, received_at, state, reason)
select 'shop-' || i % 3, 'parked-' || i, '{"lines": []}', now() - i * interval '1 second',
       case when i % 20 = 0 then 'parked' else 'posted' end, case when i % 20 = 0 then 'its listing is not linked' else '' end
from few;
insert into bundle_components (sku, component, units)
select 'BUNDLE-' || i, sku, 2 from few where i % 10 = 1;
insert into skus (sku) select 'BUNDLE-' || i from few where i % 10 = 1;
insert into backorders (sku, location, kind, cap_units) select sku, 'warehouse', 'backorder', 5 from few where i % 10 = 2;
insert into policies (channel, sku_group, sku, stated, set_by)
select 'shop-' || i % 3, '', sku, '{"percent": 80}', 'Ada' from few where i % 5 = 0;
insert into policy_changes (actor, channel, sku_group, sku, before, after)
select 'Ada', 'shop-' || i % 3, '', sku, '{}', '{"percent": 80}' from few;
insert into allocation_plans (sku_group, sku, stated, set_by)
select '', sku, '{"pools": [{"channel": "shop-0", "percent": 60, "kind": "hard"}]}', 'Ada' from few where i % 20 = 4;
insert into reorder_rules (sku, sku_group, units, set_by) select sku, '', 25, 'Ada' from few where i % 10 = 5;
insert into low_stocks (sku, reorder_at) select sku, 25 from few where i % 10 = 5;
insert into shipments (sku, shipment_id, location, units_announced, expected_on, created_at, units_received, closed_at)
select sku, 'PO-' || i / 10, 'warehouse', 5, current_date + (i % 30)::int, now(), case when i % 2 = 0 then 5 else 0 end,
       case when i % 2 = 0 then now() end from few;
insert into transfers (sku, transfer_id, origin, target, units_sent, units_arrived, created_at)
select sku, 'T-' || i / 10, 'warehouse', 'outlet', 1, (i % 2)::int, now() - i * interval '1 minute' from few;
insert into count_tasks (task, location, wish, threshold_units, threshold_percent, opened_by)
select 'count-' || lpad(n::text, 4, '0'), 'warehouse', '{}', 2, 10, 'Ada' from generate_series(0, 199) as n;
insert into count_lines (sku, task, state, begun_token, units_begun, units_counted, token)
select sku, 'count-' || lpad((i % 200)::text, 4, '0'), case when i % 200 < 50 then 'open' else 'posted' end, pg_temp.uuid_of(i), 5,
       case when i % 200 < 50 then null else 5 end, case when i % 200 < 50 then null else pg_temp.uuid_of(i) end from few;
insert into sources (source, added_by) values ('erp', 'Ada'), ('pos', 'Ada');
insert into truth_rules (sku_group, pattern, sku, figure, location, stated, set_by)
select '', '', sku, '', '', '{"strategy": "leader", "leader": "erp"}', 'Ada' from few where i % 50 = 6;
insert into truth_rule_changes (actor, reason, sku_group, pattern, sku, figure, location, before, after)
select 'Ada', '', '', '', sku, '', '', '{}', '{"strategy": "leader", "leader": "erp"}' from few where i % 10 = 6;
insert into statements (sku, location, figure, source, document, statement_id, fingerprint, said, error_s, state)
select sku, 'warehouse', 'on_hand', 'erp', 'doc-' || i, pg_temp.uuid_of(i), '\x00', jsonb_build_object('sku', sku, 'location',
    'warehouse', 'figure', 'on_hand', 'units', units, 'source', 'erp', 'document', 'doc-' || i, 'taken_at', now()), 5,
    'agreed' from few;
insert into conflicts (sku, conflict_id, location, figure, kind, state, rule, winner, beaten, opened_at)
select sku, pg_temp.uuid_of(i), 'warehouse', 'on_hand', (array['statement', 'ledger', 'drift'])[1 + i % 3],
       case when i % 20 = 0 then 'open' else 'decided' end, 'erp leads',
       jsonb_build_object('source', 'erp', 'document', 'doc-' || i, 'units', units, 'value', units),
       jsonb_build_object('source', 'pos', 'document', 'doc-' || i, 'units', 1, 'value', 1), now() - i * interval '1 s'
from few;
insert into wholesale_orders (order_id, customer, po_number, version, fingerprint, location, ship_by, state, came_by)
select 'customer-' || i % 50 || '/PO-' || i, 'customer-' || i % 50, 'PO-' || i, 1, '\x00', 'warehouse',
       current_date + (i % 60)::int, case when i % 3 = 0 then 'closed' else 'open' end, 'api' from few;
insert into wholesale_lines (sku, order_id, line_id, location, placed_at, units_ordered, units_cancelled)
select sku, 'customer-' || i % 50 || '/PO-' || i, '1', 'warehouse', now(), 1, (i % 3 = 0)::int from few;
insert into imports (import_id, kind, source, file_name, row_count, applied_count, began_at, ended_at)
select md5(i::text), 'counts', 'erp', 'counts-' || i || '.csv', 1, 1, now() - i * interval '1 minute', now() from few;
insert into audit_log (at, via, who, act, object, result)
select now() - i * interval '1 second', 'session', 'user-' || i % 20, 'POST /drifts', 'drift ' || i, 'done' from few;
insert into canaries (canary_id, channel, channel_sku, units_before, units_injected, injected_at, detected_at)
select pg_temp.uuid_of(i), 'shop-' || i % 3, (40000000000000 + i)::text, 5, 3, now() - i % 1000 * interval '1 hour', now()
from few where i < 1000;
