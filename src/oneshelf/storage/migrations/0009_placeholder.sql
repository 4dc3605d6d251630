-- placeholder, not committed
select 1;
