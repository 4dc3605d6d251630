-- Work of the warehouse: announced deliveries, counts with a review, and what runs low.

-- Announced units of one SKU under the number of a shipment. What is still to come is incoming at the location.
create table shipments (
    sku                text collate "C" not null,
    shipment_id        text collate "C" not null,
    location           text collate "C" not null,
    units_announced    bigint not null check (units_announced > 0),
    -- Of those announced; taken beyond them; beyond the tolerance, waiting for a person; of these sent back; never to come.
    units_received     bigint not null default 0 check (units_received >= 0),
    units_over         bigint not null default 0 check (units_over >= 0),
    units_held         bigint not null default 0 check (units_held >= 0),
    units_sent_back    bigint not null default 0 check (units_sent_back >= 0),
    units_cancelled    bigint not null default 0 check (units_cancelled >= 0),
    tolerance_percent  int not null default 0 check (tolerance_percent between 0 and 100),
    expected_on        date not null,
    created_at         timestamptz not null,
    closed_at          timestamptz,
    close_reason       text not null default '',
    primary key (sku, shipment_id),
    foreign key (sku, location) references balances,
    check (units_received + units_cancelled <= units_announced),
    check (units_cancelled = 0 or closed_at is not null)
) with (fillfactor = 80);
create index shipments_by_id on shipments (shipment_id, sku);
create index shipments_open on shipments (sku, location) where units_received + units_cancelled < units_announced;
create index shipments_to_do on shipments (expected_on, shipment_id, sku)
    where units_received + units_cancelled < units_announced or units_held > 0;

-- What people did with them is by hand, as the other reasons are.
drop index movements_by_hand;
create index movements_by_hand on movements (sku, version) where reason in (
    'received', 'adjusted', 'counted', 'seen_by_count', 'moved', 'dispatched', 'arrived', 'arrived_over', 'assembled',
    'disassembled', 'expected', 'announced', 'unloaded', 'unloaded_over', 'announcement_ended', 'over_settled',
    'written_off');

-- SKUs to be counted at a location, under a number that whoever orders it has chosen.
create table count_tasks (
    task               text collate "C" primary key,
    location           text collate "C" not null references locations,
    -- What was asked for, as it was asked: the same number for something else is refused.
    wish               jsonb not null,
    -- A difference of more than so many units, and of more than this share, is looked at before it is posted.
    threshold_units    bigint not null check (threshold_units >= 0),
    threshold_percent  int not null check (threshold_percent between 0 and 100),
    opened_by          text not null,
    opened_at          timestamptz not null default db_now()
);

-- One SKU of a task. Its rows are the queue: what is accepted is posted, by the key that follows from its names.
create table count_lines (
    sku             text collate "C" not null references skus,
    task            text collate "C" not null references count_tasks,
    -- Counted anew, it is the next round.
    round           int not null default 1 check (round > 0),
    state           text not null default 'open'
                    check (state in ('open', 'review', 'accepted', 'posted', 'refused', 'dropped')),
    -- What was on hand when the round began and when the figure was entered, each with the token that says what was seen.
    begun_token     uuid not null,
    units_begun     bigint not null,
    entered_token   uuid,
    units_entered   bigint,
    units_counted   bigint check (units_counted >= 0),
    -- The token that the count is posted with, and by how much it differs from the ledger then.
    token           uuid,
    variance_units  bigint,
    is_doubtful     boolean not null default false,
    counted_by      text not null default '',
    counted_at      timestamptz,
    decided_by      text not null default '',
    decided_at      timestamptz,
    reason          text not null default '',
    posted_at       timestamptz,
    -- What the ledger answered, in words.
    answer          text not null default '',
    primary key (sku, task),
    check ((state in ('open', 'dropped')) or (units_counted is not null and token is not null))
) with (fillfactor = 80);
create index count_lines_by_task on count_lines (task, sku);
create index count_lines_accepted on count_lines (sku, task) where state = 'accepted';
create index count_lines_to_do on count_lines (task) where state in ('open', 'review', 'refused');

-- When a SKU is low: at so many units, or at what it sells in so many days. The narrowest rule holds: of the SKU, of its
-- group, of all ('' and '').
create table reorder_rules (
    sku         text collate "C" not null default '',
    sku_group   text collate "C" not null default '',
    units       bigint check (units >= 0),
    cover_days  int check (cover_days between 1 and 365),
    set_by      text not null,
    set_at      timestamptz not null default db_now(),
    primary key (sku_group, sku),
    check (sku = '' or sku_group = ''),
    check ((units is null) <> (cover_days is null))
);

-- What is low now. A row comes when the units fall to the reorder point, and goes when they are well above it.
create table low_stocks (
    sku         text collate "C" primary key references skus,
    reorder_at  bigint not null,
    since       timestamptz not null default db_now()
);

create function tell_of_low() returns trigger language plpgsql as $$
begin
    insert into untold (event_type, channel, name)
    values ('stock.low', '', case when tg_op = 'DELETE' then old.sku else new.sku end);
    return null;
end $$;
create trigger low_stocks_are_told after insert or delete on low_stocks for each row execute function tell_of_low();
