-- By how many units readings have moved a listing's belief beyond all facts: risen_units less suspense_units. strayed_at:
-- since when no newer reading has shown the same; null: one has.
alter table listings
    add column risen_units bigint not null default 0,
    add column strayed_at timestamptz;
-- What was held back of a fall is in suspense already.
update listings l set risen_units = d.observed_units - d.expected_units
from drifts d
where d.channel = l.channel and d.channel_sku = l.channel_sku and d.resolved_at is null and d.resolution = ''
  and (d.observed_units > d.expected_units or d.cause in ('lost write', 'late write'));
-- The units of a listing that the ledger is taking, or has taken, for a drift; null: none was to be taken.
alter table drifts add column adopted_units bigint;
