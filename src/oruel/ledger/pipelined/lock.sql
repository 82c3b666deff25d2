-- $1: ids of keys, as a JSON array. In order of account and key, so that two processes can't wait for each other.
SELECT FROM keys JOIN accounts ON accounts.id = keys.account
WHERE keys.id = ANY (ARRAY(SELECT json_array_elements_text($1)))
ORDER BY accounts.id, keys.id
FOR UPDATE
