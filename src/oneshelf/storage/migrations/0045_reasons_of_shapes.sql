-- A switch of architecture that changes modes alone has a reason too: it stands where those of the rules do.
alter table truth_rule_changes
    drop constraint truth_rule_changes_check,
    add constraint truth_rule_changes_check check (before <> after or reason <> '');
