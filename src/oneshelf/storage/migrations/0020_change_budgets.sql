-- What a channel itself calls the thing that a listing is a part of, where it counts the changes of all its parts
-- together; empty where each listing is by itself.
alter table listings
    add column channel_group text not null default '',
    -- No raise is sent before this instant, so that the changes of the day last. Cuts go when they have to.
    add column raise_after timestamptz,
    -- Until then the channel takes no change of it, in its own words; zero is tried all the same.
    add column only_zero_until timestamptz,
    add column wait_words text not null default '';

-- Changes that were sent, by the hour, of the last day. `budget`: the listing's group, or the listing.
create table listing_changes (
    channel    text collate "C" not null references channels on delete cascade,
    budget     text collate "C" not null,
    hour       timestamptz not null,
    changes    int not null check (changes >= 0),
    last_at    timestamptz not null,
    primary key (channel, budget, hour)
);
