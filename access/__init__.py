"""Access: keys, the requests that each allows, and the file that holds them. Imports nothing of the API."""
