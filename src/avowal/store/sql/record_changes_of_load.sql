-- Record that the records of a load are about to be deleted, so that processors learn it. Only logs have such loads.
INSERT INTO record_changes BY NAME
SELECT 'requests' AS relation, record_number FROM requests WHERE load_number = $load_number
