-- A long retention makes a large outbox, in which a vacuum after each 20,000 rows would do nothing but
-- read indexes: it comes by the table's size too. What a short retention deletes, the relay vacuums.
alter table todo.outbox set (
    autovacuum_vacuum_scale_factor = 0.01,
    autovacuum_vacuum_insert_scale_factor = 0.05,
    autovacuum_analyze_scale_factor = 0.02
);
