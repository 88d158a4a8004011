-- Set when a visitor day begins: the key of a cookie's visitor for one day depends on it.
UPDATE derivation_state SET time_zone = $time_zone, day_start_minutes = $day_start_minutes
