-- Load requests of logs from `new_requests`.
INSERT INTO requests BY NAME FROM new_requests;
