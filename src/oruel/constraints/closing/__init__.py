"""Plans that complete a document within its budget, and the checks that keep it valid."""
