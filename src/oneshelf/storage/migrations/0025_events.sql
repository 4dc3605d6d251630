-- What the engine tells to whoever follows it: the log of events, the endpoints that they are sent to, and what is still
-- to be sent.

-- What happened and was not told yet. Rows are written by the triggers below in the transaction in which it happened, and
-- taken out in the one that tells it: whatever dies, and whoever commits late, nothing is told before it is true, and
-- nothing is forgotten. What happens to units is not in here: movements stay, and a position says which are told.
create table untold (
    untold_id    bigint generated always as identity primary key,
    event_type   text not null,
    -- The channel and its order or listing; or '' and a drift, a SKU.
    channel      text collate "C" not null default '',
    name         text collate "C" not null default '',
    detail       jsonb not null default '{}',
    happened_at  timestamptz not null default db_now()
);

-- How far the telling is. One row, or none before its first run. Only one at a time writes it, and the numbers of
-- the events with it: so a number that can be seen has no lower one that will only be seen later.
create table event_position (
    is_only        boolean primary key default true check (is_only),
    -- The movements of all transactions that this snapshot sees are told. It also knows which were still under way.
    snapshot       pg_snapshot not null,
    -- Transaction numbers mean nothing in another cluster: a restored database compares every SKU anew.
    cluster        bigint not null,
    position       bigint not null,
    -- Every SKU up to this one is compared with what was told of it; null: all of them are.
    compared_sku   text collate "C" default '',
    told_at        timestamptz not null
);

-- The events. Of what is a level (`slot`: its type and what it is of) there is one row, the newest; of a fact each.
create table events (
    slot          text collate "C" primary key,
    position      bigint not null unique,
    event_id      text not null unique,
    event_type    text not null,
    -- Events of one subject are delivered in the order of their positions.
    subject       text collate "C" not null,
    channels      text[] not null default '{}',
    skus          text[] not null default '{}',
    body          jsonb not null,
    is_level      boolean not null,
    happened_at   timestamptz not null,
    told_at       timestamptz not null default db_now()
);
create index events_by_time on events (told_at);
create index events_old_facts on events (told_at) where not is_level;

-- Who is told, and how that went. `next_at`: not called before.
create table endpoints (
    endpoint       text collate "C" primary key,
    url            text not null,
    -- Empty: all of them.
    event_types    text[] not null default '{}',
    allows_http    boolean not null default false,
    state          text not null default 'active' check (state in ('active', 'paused', 'gone', 'failing')),
    created_at     timestamptz not null default db_now(),
    fail_streak    int not null default 0,
    failing_since  timestamptz,
    last_words     text not null default '',
    delivered_at   timestamptz,
    delivered_count bigint not null default 0,
    failed_count   bigint not null default 0,
    next_at        timestamptz not null default db_now(),
    lease          uuid,
    lease_until    timestamptz
);

create table endpoint_secrets (
    endpoint    text collate "C" not null references endpoints on delete cascade,
    secret      text not null,
    created_at  timestamptz not null default db_now(),
    -- Signed with as well until then, while the other side learns the newer one; null: until the next rotation.
    expires_at  timestamptz,
    primary key (endpoint, secret)
);

-- What an endpoint has still to be sent. A level keeps its place here while its figure becomes a newer one.
create table deliveries (
    endpoint     text collate "C" not null references endpoints on delete cascade,
    slot         text collate "C" not null references events on delete cascade,
    position     bigint not null,
    subject      text collate "C" not null,
    queued_at    timestamptz not null default db_now(),
    queued       bigint not null,
    tries        int not null default 0,
    next_at      timestamptz not null default db_now(),
    last_words   text not null default '',
    -- Tried as often as the schedule says, and not tried any more.
    given_up_at  timestamptz,
    primary key (endpoint, slot)
);
create index deliveries_due on deliveries (endpoint, queued) where given_up_at is null;
create index deliveries_by_subject on deliveries (endpoint, subject, position) where given_up_at is null;
create index deliveries_by_slot on deliveries (slot);

-- An order in its newest form, and order lines that have units or miss them.
create function tell_of_orders() returns trigger language plpgsql as $$
begin
    insert into untold (event_type, channel, name)
    select case when b.snapshot is null then 'order.posted' else 'order.changed' end, a.channel, a.order_id
    from after_it a join before_it b on b.channel = a.channel and b.order_id = a.order_id
    where a.snapshot is distinct from b.snapshot
    order by a.channel, a.order_id;
    return null;
end $$;
create trigger orders_are_told after update on orders referencing old table as before_it new table as after_it
    for each statement execute function tell_of_orders();

create function tell_of_short() returns trigger language plpgsql as $$
begin
    insert into untold (event_type, channel, name)
    values ('order.short', new.channel, new.order_id), ('stock.oversold', '', new.sku);
    return null;
end $$;
create trigger short_lines_are_told after insert on order_lines
    for each row when (new.units_short > 0) execute function tell_of_short();
create trigger changed_short_lines_are_told after update on order_lines
    for each row when (new.units_short <> old.units_short) execute function tell_of_short();

create function tell_of_listing() returns trigger language plpgsql as $$
begin
    insert into untold (event_type, channel, name)
    values (case when new.phase = 'parked' then 'listing.parked' else 'listing.verified' end,
            new.channel, new.channel_sku);
    return null;
end $$;
create trigger parked_listings_are_told after update of phase on listings
    for each row when (new.phase = 'parked' and old.phase <> 'parked') execute function tell_of_listing();
create trigger verified_listings_are_told after update of verified_version on listings
    for each row when (new.phase <> 'parked' and new.verified_at is not null
        and (new.verified_version <> old.verified_version or new.verified_units is distinct from old.verified_units))
    execute function tell_of_listing();

create function tell_of_drift() returns trigger language plpgsql as $$
begin
    insert into untold (event_type, channel, name)
    values (case when tg_op = 'INSERT' then 'drift.opened' else 'drift.resolved' end, new.channel, new.drift_id::text);
    return null;
end $$;
create trigger opened_drifts_are_told after insert on drifts for each row execute function tell_of_drift();
create trigger resolved_drifts_are_told after update of resolved_at on drifts
    for each row when (new.resolved_at is not null and old.resolved_at is null) execute function tell_of_drift();

create function tell_of_hold() returns trigger language plpgsql as $$
begin
    insert into untold (event_type, channel, name, detail)
    values (case when new.held_at is null then 'breaker.closed' else 'breaker.opened' end, new.channel, new.channel,
            case when new.held_at is null then jsonb_build_object('reason', old.held_reason)
                 else jsonb_build_object('reason', new.held_reason, 'figures', new.held_figures) end);
    return null;
end $$;
create trigger holds_are_told after update of held_at on channels
    for each row when ((new.held_at is null) <> (old.held_at is null)) execute function tell_of_hold();
