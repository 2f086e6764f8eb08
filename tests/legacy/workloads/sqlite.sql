-- Rows, indices, joins and text in memory; @SIZE@ is replaced.
CREATE TABLE t(id INTEGER PRIMARY KEY, name TEXT, number INT, body TEXT);
WITH RECURSIVE c(i) AS
  (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < 30000 * @SIZE@)
INSERT INTO t SELECT i, 'name ' || (i * 7919 % 100003), i * 31 % 5003,
  substr('the quick brown fox jumps over the lazy dog', 1, i % 43) FROM c;
CREATE INDEX by_name ON t(name);
CREATE INDEX by_number ON t(number, name);
SELECT count(*), count(DISTINCT number), sum(length(body)) FROM t;
SELECT number, count(*), max(name) FROM t GROUP BY number
  ORDER BY 2 DESC, 1 LIMIT 5;
SELECT count(*) FROM t a JOIN t b ON b.id = a.number + 1
  WHERE a.name < 'name 5';
UPDATE t SET body = upper(body) || name WHERE number % 3 = 0;
DELETE FROM t WHERE number % 7 = 0;
SELECT length(group_concat(body, ';')) FROM t WHERE id % 5 = 0;
SELECT name, instr(body, 'FOX') FROM t ORDER BY body DESC, id LIMIT 3;
SELECT json_array_length(json_group_array(json_object('n', name, 'b', body)))
  FROM t WHERE id % 4 = 0;
PRAGMA integrity_check;
