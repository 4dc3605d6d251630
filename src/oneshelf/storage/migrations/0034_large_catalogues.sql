-- Lists of a large catalogue: each page is read by an index, and what counts all of it is kept.

alter table listings
    -- How far its figure has got, as far as its own row tells; a drift and its channel say the rest. See `listing_states`.
    add column stage text collate "C" generated always as (case
        when sku is null then 'unlinked'
        when phase = 'parked' then 'parked'
        when suspect_at is not null then 'suspect'
        when verified_version = desired_version and verified_units = desired_units
             and base_units - (net_units - base_net) = desired_units then 'verified'
        when phase <> 'idle' then phase
        when signed_off_at is null then 'unsigned'
        else 'idle' end) stored,
    -- Its place in the plan of its channel: the causes in the order of `domain.go_live.Cause`, each 2^40 wide, of which
    -- twins and unlinked ones are one; in each the largest change first.
    add column fright bigint generated always as ((case
        when sku is null then 5
        when phase = 'parked' then 4
        when desired_units is null or desired_version = 0 then 7
        when base_units is null then 6
        when desired_units = base_units - (net_units - base_net) then 8
        when desired_units > base_units - (net_units - base_net) then 3
        when desired_units = 0 then 1
        else 2 end) * (1::bigint << 40) - case
        when sku is null or phase = 'parked' or desired_version = 0 then 0
        else least(abs(coalesce(desired_units - (base_units - (net_units - base_net)), 0)), (1::bigint << 40) - 1) end)
        stored;
create index listings_by_stage on listings (channel, stage, channel_sku);
create index listings_by_fright on listings (channel, fright, channel_sku);
create index listings_by_merchant_sku on listings (channel, merchant_sku);
-- Whether a channel announces changes: asked for each drift.
create index listings_hinted on listings (channel, hinted_at) where hinted_at is not null;

create index balances_to_inspect on balances (sku, location) where quality_control + damaged > 0;
create index drifts_in_order on drifts ((resolved_at is not null), opened_at desc);
create index drifts_open_by_time on drifts (opened_at, drift_id) where resolved_at is null;
create index wholesale_orders_in_order on wholesale_orders (coalesce(ship_by, 'infinity'::date), order_id);
create index conflicts_in_order on conflicts ((state <> 'open'), opened_at desc, conflict_id desc);

-- What counts the whole catalogue, as of `counted_at`; kept by the step `survey` where it is large.
create table tallies (
    is_only     boolean primary key default true check (is_only),
    counted_at  timestamptz not null,
    figures     jsonb not null
);
