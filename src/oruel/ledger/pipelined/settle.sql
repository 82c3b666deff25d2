-- $1: parameters of settlements, as a JSON array of objects. Settles entries that are open and reserve what their
-- settlements say, as settle_open in settling.py. If some are not, divides by zero, which undoes the transaction: the
-- client may have sent its end already.
WITH given AS (
    SELECT * FROM json_to_recordset($1) AS given (
        id_ text, price_reserved bigint, tokens_reserved bigint, status text, finish text, error text, deployment text,
        prompt_tokens bigint, cached_tokens bigint, completion_tokens bigint, estimated boolean, price bigint,
        cost bigint, queued_ms double precision, first_token_ms double precision, total_ms double precision
    )
), settled AS (
    UPDATE requests SET
        status = given.status, finish = given.finish, error = given.error, deployment = given.deployment,
        reserved = 0, reserved_tokens = 0, prompt_tokens = given.prompt_tokens, cached_tokens = given.cached_tokens,
        completion_tokens = given.completion_tokens, estimated = given.estimated, price = given.price,
        cost = given.cost, queued_ms = given.queued_ms, first_token_ms = given.first_token_ms,
        total_ms = given.total_ms
    FROM given
    -- The array makes the plan use the primary key. The partial index of open entries also holds those that were settled
    -- since the last VACUUM, so the status isn't asked for: entries that aren't open reserve no tokens.
    WHERE requests.id = ANY (ARRAY(SELECT id_ FROM given)) AND requests.id = given.id_
        AND requests.reserved = given.price_reserved AND requests.reserved_tokens = given.tokens_reserved
    RETURNING
        requests.account, requests.key, requests.price,
        given.tokens_reserved - given.prompt_tokens - given.completion_tokens AS unused
), charged AS (
    UPDATE accounts SET balance = balance - prices.price
    FROM (SELECT account, sum(price)::bigint AS price FROM settled GROUP BY account) AS prices
    WHERE accounts.id = prices.account AND prices.price > 0 AND accounts.balance IS NOT NULL
), moment AS MATERIALIZED (
    SELECT clock_timestamp() AT TIME ZONE 'UTC' AS now
), periods AS (
    SELECT to_char(now, 'YYYY-MM-DD') AS period FROM moment UNION ALL SELECT to_char(now, 'YYYY-MM') FROM moment
), spent AS (
    INSERT INTO spending (key, period, spent)
    SELECT key, period, sum(price)::bigint FROM settled CROSS JOIN periods
    WHERE key IS NOT NULL AND price > 0 GROUP BY key, period
    ON CONFLICT (key, period) DO UPDATE SET spent = spending.spent + excluded.spent
), given_back AS (
    -- As Bucket.give_back in limits.py.
    UPDATE keys SET tokens_due = tokens_due - times.time
    FROM (
        SELECT keys.id, sum(div(unused::numeric * 60000000000, keys.tokens_per_minute))::bigint AS time
        FROM settled JOIN keys ON keys.id = settled.key WHERE unused > 0 AND keys.tokens_per_minute > 0
        GROUP BY keys.id
    ) AS times
    WHERE keys.id = times.id
)
SELECT 1 / (count(*) = json_array_length($1))::int FROM settled
