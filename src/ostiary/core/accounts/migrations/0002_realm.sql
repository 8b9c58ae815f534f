-- least: what the epochs of all accounts begin with. Raised, it refuses every access token and ends every session there is.
create table realm (
    id bigint primary key check (id = 1),
    least bigint not null
);

insert into realm (id, least) values (1, 0);
