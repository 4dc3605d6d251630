-- Writes whose answer never came. Each may be applied late, also after a newer one.
create table lost_writes (
    op_id       uuid primary key,
    channel     text collate "C" not null,
    channel_sku text collate "C" not null,
    units       bigint not null,
    sent_at     timestamptz not null
);
create index lost_writes_by_listing on lost_writes (channel, channel_sku, sent_at);
