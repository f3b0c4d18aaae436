-- Question: which values did each user's record have at a given time?
-- Grain:    one row per version of a user.
-- Columns:  those of the table `users_history`, in its order.
--
-- Reads versions: the rows of the snapshot's chain of runs as in the lake, with the column names of the file.
--
-- The runs of a chain have increasing numbers. If the clock was set back between two of them, the later version starts at
-- valid_from of the version before it, so that no two versions of a user overlap.

WITH spans AS (
    SELECT
        user_id,
        run_number,
        version_no,
        valid_from,
        lead(valid_from) OVER (PARTITION BY user_id ORDER BY version_no) AS valid_to
    FROM (
        SELECT
            user_id,
            run_number,
            row_number() OVER (PARTITION BY user_id ORDER BY run_number) AS version_no,
            max(valid_from) OVER (PARTITION BY user_id ORDER BY run_number) AS valid_from
        FROM versions
    ) AS numbered
)

SELECT
    versions.user_id,
    CAST(spans.version_no AS INTEGER) AS version_no,
    spans.valid_from,
    spans.valid_to,
    spans.valid_to IS NULL AS is_current,
    versions.* EXCLUDE (user_id, valid_from)
FROM versions
JOIN spans ON spans.user_id = versions.user_id AND spans.run_number = versions.run_number
