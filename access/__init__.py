"""Who may do what: access keys, what they open, and the file they stand in. Imports nothing of the API."""
