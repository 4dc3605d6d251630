-- A file that is being brought in can be stopped: who asked for it; empty: nobody. What was applied until then stays.
alter table imports add column stopped_by text not null default '';
