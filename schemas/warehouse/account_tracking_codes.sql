-- Question: which tracking codes does each listed user have?
-- Grain:    one row per user and code, in Box's order.
-- Columns:  user_id, name, value.
--
-- Reads users.

SELECT user_id, code.name AS name, code."value" AS "value"
FROM (SELECT user_id, unnest(tracking_codes) AS code FROM users) AS codes
