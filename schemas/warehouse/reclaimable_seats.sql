-- Question: which seats would the reclamation policy reclaim, and what does it save?
-- Grain:    one row per candidate without a left_out_reason.
-- Columns:  snapshot_date, user_id, login, name, role, stage, seat_state, proven_idle_days, last_activity_at,
--           space_used_bytes, licence_plan, monthly_cost, currency.
--
-- Reads reclaim_candidates, accounts and report_settings.

SELECT
    settings.snapshot_date,
    accounts.user_id,
    accounts.login,
    accounts.name,
    accounts.role,
    reclaim_candidates.stage,
    accounts.seat_state,
    accounts.proven_idle_days,
    accounts.last_activity_at,
    accounts.space_used_bytes,
    accounts.licence_plan,
    accounts.monthly_cost,
    accounts.currency
FROM reclaim_candidates
JOIN accounts ON accounts.user_id = reclaim_candidates.user_id
CROSS JOIN report_settings AS settings
WHERE reclaim_candidates.left_out_reason IS NULL
ORDER BY accounts.monthly_cost DESC NULLS LAST, accounts.proven_idle_days DESC NULLS LAST, accounts.user_id
