-- Question: which groups are empty, without an admin, or full of users who no longer use Box?
-- Answer:   one row per group with a concern, the largest first.

SELECT name, concern, members_count, used_count, not_used_count, suspended_count, last_activity_at
FROM group_health
WHERE concern IS NOT NULL
ORDER BY members_count DESC NULLS LAST, name;
