-- issuer: the one issuer of this database. Null until a server has opened it.
alter table realm add column issuer text;
