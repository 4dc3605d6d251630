-- What a channel itself says is wrong with a listing, in its own words. A listing without a row has nothing wrong.
create table listing_issues (
    channel     text collate "C" not null,
    channel_sku text collate "C" not null,
    words       text not null check (words <> ''),
    primary key (channel, channel_sku)
);
