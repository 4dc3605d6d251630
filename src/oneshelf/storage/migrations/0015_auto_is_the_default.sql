-- Who says nothing of a new SKU does not sell its last units twice. SKUs that are there stay as they are.
alter table skus alter column mode set default 'auto';

-- Of the task `orders`: the seconds of silence that SKUs were last marked for; 0: its channel is heard of.
alter table schedules add column silent_s float8 not null default 0;
