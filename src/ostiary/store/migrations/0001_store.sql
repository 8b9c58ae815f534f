-- Every time is in microseconds since the epoch.

-- The change feed. Its numbers come from the one row of feed_head, whose lock makes number order commit order.
create table feed_head (
    id bigint primary key check (id = 1),
    seq bigint not null
);

insert into feed_head (id, seq) values (1, 0);

-- until: when the entry may leave
create table feed (
    seq bigint primary key,
    kind text not null,
    key text not null,
    value bigint not null,
    until bigint not null
);

create index feed_by_until on feed (until);

-- One more each time a backup was restored.
create table store_generation (
    id bigint primary key check (id = 1),
    generation bigint not null
);

insert into store_generation (id, generation) values (1, 1);

-- Counters (GCRA). key: a hash; full_at: when nothing is taken any more
create table hot_rate (
    key bytea primary key,
    full_at bigint not null
);

create index hot_rate_by_full_at on hot_rate (full_at);

-- Replay caches. key: a hash; until: when the key is free again
create table hot_reservation (
    key bytea primary key,
    until bigint not null
);

create index hot_reservation_by_until on hot_reservation (until);
