-- $1: ids of keys, as a JSON array. $2: rows of requests. $3: what their keys' buckets are then. $4: what the decision to
-- open them was based on, rows of Expectation. All three are JSON arrays of objects. $5: the time of the decision in
-- microseconds, or NULL if the keys have been locked since.
--
-- Opens the requests if $4 is what the store holds, and if the time is right. Returns whether it is, the time, and what
-- the store holds: a StoredKey for each key, or one row of NULL. A statement of its own, because it would otherwise see
-- the store as of before the lock.
WITH moment AS MATERIALIZED (
    SELECT clock_timestamp() AS now
), periods AS MATERIALIZED (
    SELECT
        (extract(epoch FROM now) * 1000000)::bigint AS now,
        to_char(now AT TIME ZONE 'UTC', 'YYYY-MM-DD') AS day,
        to_char(now AT TIME ZONE 'UTC', 'YYYY-MM') AS month
    FROM moment
), held AS MATERIALIZED (
    SELECT
        keys.id, keys.account, accounts.balance, least(keys.revoked, keys.expires) AS invalid_from,
        keys.requests_per_minute, keys.tokens_per_minute, keys.concurrent_requests, keys.day_limit, keys.month_limit,
        keys.requests_due, keys.tokens_due, coalesce(of_day.spent, 0) AS day_spent,
        coalesce(of_month.spent, 0) AS month_spent, running.reserved, running.running, running.account_reserved
    FROM keys
    JOIN accounts ON accounts.id = keys.account
    CROSS JOIN periods
    LEFT JOIN spending AS of_day ON of_day.key = keys.id AND of_day.period = periods.day
    LEFT JOIN spending AS of_month ON of_month.key = keys.id AND of_month.period = periods.month
    CROSS JOIN LATERAL (
        SELECT
            coalesce(sum(requests.reserved) FILTER (WHERE requests.key = keys.id), 0)::bigint AS reserved,
            count(*) FILTER (WHERE requests.key = keys.id) AS running,
            coalesce(sum(requests.reserved), 0)::bigint AS account_reserved
        FROM requests WHERE requests.status IS NULL AND requests.account = keys.account
    ) AS running
    WHERE keys.id = ANY (ARRAY(SELECT json_array_elements_text($1)))
), expected AS (
    SELECT * FROM json_to_recordset($4) AS expected (
        id text, account text, balance bigint, invalid_from bigint, requests_per_minute bigint,
        tokens_per_minute bigint, concurrent_requests bigint, day_limit bigint, month_limit bigint,
        requests_due bigint, tokens_due bigint, day_spent bigint, month_spent bigint, reserved bigint,
        running bigint, account_reserved bigint
    )
), verdict AS MATERIALIZED (
    SELECT
        (SELECT count(*) FROM held) = json_array_length($4)
        AND NOT EXISTS (
            SELECT FROM held LEFT JOIN expected ON expected.id = held.id
            WHERE ROW(held.*) IS DISTINCT FROM ROW(expected.*)
        )
        AND coalesce(abs(now - $5::bigint) < 100000, true) AS is_right,
        now
    FROM periods
), opened AS (
    INSERT INTO requests (
        id, request_id, instance, account, key, model, tier, created, day, reserved, reserved_tokens, prompt_tokens,
        cached_tokens, completion_tokens, estimated, price, cost
    )
    SELECT given.* FROM verdict CROSS JOIN json_to_recordset($2) AS given (
        id text, request_id text, instance text, account text, key text, model text, tier text, created bigint,
        day text, reserved bigint, reserved_tokens bigint, prompt_tokens bigint, cached_tokens bigint,
        completion_tokens bigint, estimated boolean, price bigint, cost bigint
    )
    WHERE verdict.is_right
), counted AS (
    UPDATE keys SET requests_due = given.requests_, tokens_due = given.tokens_
    FROM verdict CROSS JOIN json_to_recordset($3) AS given (id_ text, requests_ bigint, tokens_ bigint)
    WHERE verdict.is_right AND keys.id = given.id_
)
SELECT verdict.is_right, verdict.now, held.* FROM verdict LEFT JOIN held ON true
