-- record_import
INSERT INTO leadgate.imports
    (import_id, file, file_digest, imported_at, row_count, quarantined, refused_because)
VALUES
    (%(import_id)s, %(file)s, %(file_digest)s, %(imported_at)s, %(row_count)s, %(quarantined)s, %(refused_because)s)

-- copy_faults
COPY leadgate.quarantined_rows (import_id, row_number, lead_id, column_name, value, reason) FROM STDIN

-- latest_import
SELECT import_id, file, imported_at, row_count, quarantined, refused_because
FROM leadgate.imports
WHERE (%(prefix)s::text IS NULL AND quarantined > 0)
   OR starts_with(import_id::text, %(prefix)s::text)
ORDER BY import_id DESC
LIMIT 1

-- faults_of_import
SELECT row_number, lead_id, column_name, value, reason
FROM leadgate.quarantined_rows
WHERE import_id = %(import_id)s
ORDER BY row_number, quarantined_row_id
LIMIT %(limit)s

-- serialise_imports
SELECT pg_advisory_lock(hashtext('leadgate.import'))
