-- A random number for each append. After a failover that lost entries, the same numbers have other marks. 0: written by
-- a version that knows no marks.
alter table feed add column mark bigint not null default 0;
