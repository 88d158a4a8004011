-- What is left of a cookie's key where only a day's may be kept: one of that day. A day's keys are even, a cookie's odd.
CREATE MACRO day_of(visitor, told_at) AS CASE
    WHEN visitor & 1 = 0 THEN visitor
    ELSE hash(visitor, (told_at - INTERVAL 4 HOUR)::DATE) & 18446744073709551614
END;
