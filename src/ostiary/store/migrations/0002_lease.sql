-- What one process at a time does. holder: who does it, empty for nobody. until: microseconds since the epoch, by the
-- database's clock; from then on it is free.
create table store_lease (
    name text primary key,
    holder text not null,
    until bigint not null
);
