-- The same with fewer steps: what it is told at is cut to the day as a number.
CREATE OR REPLACE MACRO day_of(visitor, told_at) AS CASE
    WHEN visitor & 1 = 0 THEN visitor
    ELSE hash(visitor, (epoch_us(told_at) - 14400000000) // 86400000000) & 18446744073709551614
END;
