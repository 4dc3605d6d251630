-- What a person has looked at of a device is shown no longer; it stays written down, and what comes later counts.

-- Of a device: it is gone, as far as it tells nothing after this.
alter table devices add column settled_at timestamptz;
alter table device_events add column settled_at timestamptz;
