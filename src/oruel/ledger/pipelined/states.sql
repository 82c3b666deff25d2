-- $1: ids of keys, as a JSON array. A KeyRow for each. A statement of its own, because it would otherwise see the store
-- as of before the lock.
WITH moment AS MATERIALIZED (
    SELECT clock_timestamp() AS now
), periods AS MATERIALIZED (
    SELECT
        (extract(epoch FROM now) * 1000000)::bigint AS now,
        to_char(now AT TIME ZONE 'UTC', 'YYYY-MM-DD') AS day,
        to_char(now AT TIME ZONE 'UTC', 'YYYY-MM') AS month
    FROM moment
)
SELECT
    keys.id, keys.account, accounts.balance, keys.revoked, keys.expires, keys.requests_per_minute,
    keys.tokens_per_minute, keys.concurrent_requests, keys.day_limit, keys.month_limit, keys.requests_due,
    keys.tokens_due, coalesce(of_day.spent, 0), coalesce(of_month.spent, 0), own.reserved, own.running,
    whole.reserved, periods.now
FROM keys
JOIN accounts ON accounts.id = keys.account
CROSS JOIN periods
LEFT JOIN spending AS of_day ON of_day.key = keys.id AND of_day.period = periods.day
LEFT JOIN spending AS of_month ON of_month.key = keys.id AND of_month.period = periods.month
CROSS JOIN LATERAL (
    SELECT coalesce(sum(requests.reserved), 0)::bigint AS reserved, count(*) AS running
    FROM requests WHERE requests.status IS NULL AND requests.account = keys.account AND requests.key = keys.id
) AS own
CROSS JOIN LATERAL (
    SELECT coalesce(sum(requests.reserved), 0)::bigint AS reserved
    FROM requests WHERE requests.status IS NULL AND requests.account = keys.account
) AS whole
WHERE keys.id = ANY (ARRAY(SELECT json_array_elements_text($1)))
