-- What has to be written, in the order in which it is written: a batch is taken from the front, however much waits.

alter table listings
    -- Whether writing the desired figure lets the channel show as much as it is believed to show, or more. False: a
    -- cut, which goes first. Stored, and not worked out by the index: an update that leaves it alone stays cheap.
    add column is_raise boolean generated always as (desired_units >= base_units - (net_units - base_net)) stored;
drop index listings_to_push;
create index listings_to_push on listings (channel, is_raise, desired_units, channel_sku)
    where desired_version > sent_version or phase = 'sending';
