-- Published status lists, and who has which bit of them. A slot is not given to anybody else until `until` (microseconds):
-- before, a token could carry it. It outlives its session's row, so it refers to none.
create table status_lists (
    number bigint primary key,
    created_at bigint not null
);

insert into status_lists (number, created_at) values (1, 0);

create table status_slots (
    list bigint not null,
    idx bigint not null,
    session_id text not null,
    account_id text not null,
    ver bigint not null,
    until bigint not null,
    primary key (list, idx)
);

create index status_slots_by_session on status_slots (session_id);
create index status_slots_by_account on status_slots (account_id, ver);
create index status_slots_by_until on status_slots (until);
