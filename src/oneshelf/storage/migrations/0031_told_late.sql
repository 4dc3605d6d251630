-- What a parcel proved to have been there is no news to a count either.
drop index movements_beside_counts;
create index movements_beside_counts on movements (sku, version)
    where reason in ('counted', 'seen_by_count', 'shipped_uncounted') or happened_at is not null;
-- What left over a counter after an instant, of a balance that is counted as it was then.
create index order_lines_handed_over on order_lines (sku, location, handed_over_at)
    where units_shipped > 0 and handed_over_at is not null;
