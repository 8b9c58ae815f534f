-- generation, refresh_hash: of the newest refresh token of the session. 0 and null while its tokens have the former
-- format, which is stored in refresh_tokens.
-- refresh_tat: the limit on refreshes (GCRA), in microseconds since the epoch.
alter table sessions add column generation bigint not null default 0;
alter table sessions add column refresh_hash bytea;
alter table sessions add column refresh_tat bigint not null default 0;
