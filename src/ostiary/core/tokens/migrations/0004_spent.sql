-- A spent refresh token, for as long as it may get its successor again. hash: of the spent token.
-- salt: the id of a master secret and random bytes; the successor is derived from them and the spent token.
-- repeated: 1 once a second use was recorded. until: microseconds since the epoch; the row is deleted then.
create table spent_refresh_tokens (
    session_id text not null references sessions (id) on delete cascade,
    generation bigint not null,
    hash bytea not null,
    spent_at bigint not null,
    salt bytea not null,
    repeated bigint not null default 0,
    until bigint not null,
    primary key (session_id, generation)
);

create index spent_refresh_tokens_by_until on spent_refresh_tokens (until);

-- upgraded: more than 0 if this database was in use before this migration. Servers of the version before may then still
-- run for a while. They cannot read refresh tokens of the new format.
create table refresh_format (
    id bigint primary key check (id = 1),
    upgraded bigint not null
);

insert into refresh_format (id, upgraded) select 1, count(*) from signing_keys;
