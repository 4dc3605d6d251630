-- Shipped units that the channel itself has put on sale again. `units_returned` are those that people booked; a unit
-- that both tell of is one unit, so that the greater of the two figures is back.
alter table order_lines add column units_restocked bigint not null default 0,
    add check (units_restocked between 0 and units_shipped);
