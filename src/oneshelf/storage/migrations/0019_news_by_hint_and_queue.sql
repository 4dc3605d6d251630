-- Orders of which a channel told that something changed, and not what: to be asked for one by one.
create table wanted_orders (
    channel      text collate "C" not null references channels on delete cascade,
    order_id     text collate "C" not null,
    -- How often it was wanted: an answer that was asked for before the last time is not the last word.
    wishes       bigint not null default 1 check (wishes > 0),
    wanted_at    timestamptz not null default db_now(),
    next_at      timestamptz not null default db_now(),
    -- How often in a row it could not be had.
    tries        int not null default 0 check (tries >= 0),
    last_fault   text not null default '',
    lease        uuid,
    lease_until  timestamptz,
    primary key (channel, order_id),
    check ((lease is null) = (lease_until is null))
);
create index wanted_orders_due on wanted_orders (channel, next_at);

-- `queue`: listening to a queue into which the channel puts its news.
alter table schedules drop constraint schedules_task_check;
alter table schedules add constraint schedules_task_check check (task in ('orders', 'stock', 'subscriptions', 'queue'));
