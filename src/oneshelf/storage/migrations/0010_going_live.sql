-- What keeps a night quiet: nothing is written before somebody signed it off, and a mass change stops and asks.

-- Who has to sign off: for the channel, once, all that is linked now or later; or listing by listing. A channel that is
-- live already was put there by a person: it stays signed off as a whole.
alter table channels add column signs_off text not null default 'channel' check (signs_off in ('channel', 'listing'));
alter table listings add column signed_off_at timestamptz, add column signed_off_by text not null default '';

-- The breaker: while a channel is held, only cuts that follow a sale are written. `held_from`: the first of the changes
-- that it stopped for. It stays when the hold ends, so that the changes can still be taken back.
alter table channels
    add column held_at timestamptz,
    add column held_reason text not null default '' check (held_reason in ('', 'zeroed', 'changed', 'truncated')),
    add column held_figures jsonb not null default '{}',
    add column held_from timestamptz,
    add column hold_checked_at timestamptz,
    -- Limits that overrule those of `domain.breaker`.
    add column breaker jsonb not null default '{}',
    -- Listings that the last whole sweep saw, and the last one.
    add column swept_count int not null default 0,
    add column swept_last int not null default 0,
    add constraint channels_held check ((held_at is null) = (held_reason = ''));

alter table listings
    -- A person let all figures up to this version go.
    add column released_version bigint not null default 0,
    -- When a change that follows from no order was last let go, since when it was on its way, and if it took the
    -- listing off sale.
    add column hand_at timestamptz,
    add column hand_from timestamptz,
    add column hand_zero boolean not null default false;

-- Whether anything but orders and reservations has moved a balance since one of its versions. The reasons are
-- `domain.breaker.BY_HAND`.
create index movements_by_hand on movements (sku, version) where reason in (
    'received', 'adjusted', 'counted', 'seen_by_count', 'moved', 'dispatched', 'arrived', 'arrived_over', 'assembled',
    'disassembled', 'expected');
