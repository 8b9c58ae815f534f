-- device_bound: 1 when the holder of the session shows its device's token with it. idle_at: ended then, unless it is used before.
-- least: that of the realm when the session began; the session is dead when the realm's is another.
-- resource: the audience of its access tokens, null for the issuer.
-- status_list, status_index: where the bit of its access tokens of epoch status_ver stands.
alter table sessions add column device_id text references devices (id) on delete set null;
alter table sessions add column device_bound bigint not null default 0;
alter table sessions add column idle_at bigint not null default 9223372036854775807;
alter table sessions add column least bigint not null default 0;
alter table sessions add column resource text;
alter table sessions add column status_list bigint;
alter table sessions add column status_index bigint;
alter table sessions add column status_ver bigint;

create index sessions_by_device on sessions (device_id);
