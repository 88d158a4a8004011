INSERT INTO requests BY NAME
SELECT *, $load::UBIGINT AS load FROM records
