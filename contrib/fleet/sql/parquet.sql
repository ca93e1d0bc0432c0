-- Records as consumer.py writes them. Before it: SET VARIABLE files = 'parquet/*.parquet';
CREATE OR REPLACE VIEW records AS
SELECT * FROM read_parquet(getvariable('files'), union_by_name = true);
