-- What orders had taken off a listing when a reading became the anchor of its belief: of those that were posted since,
-- each may have been in that reading or not. Null: a reading of which every order is known has shown the belief.
alter table listings
    add column doubt_net bigint,
    add column doubt_turnover bigint;
