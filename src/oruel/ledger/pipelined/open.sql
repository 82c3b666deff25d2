-- $1: rows of requests. $2: what their keys' buckets are now. Both are JSON arrays of objects.
WITH opened AS (
    INSERT INTO requests (
        id, request_id, instance, account, key, model, tier, created, day, reserved, reserved_tokens, prompt_tokens,
        cached_tokens, completion_tokens, estimated, price, cost
    )
    SELECT * FROM json_to_recordset($1) AS given (
        id text, request_id text, instance text, account text, key text, model text, tier text, created bigint,
        day text, reserved bigint, reserved_tokens bigint, prompt_tokens bigint, cached_tokens bigint,
        completion_tokens bigint, estimated boolean, price bigint, cost bigint
    )
)
UPDATE keys SET requests_due = given.requests_, tokens_due = given.tokens_
FROM json_to_recordset($2) AS given (id_ text, requests_ bigint, tokens_ bigint)
WHERE keys.id = given.id_
