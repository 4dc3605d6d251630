-- This number is taken by work that is merged beside this one. Nothing happens here.
select 1;
