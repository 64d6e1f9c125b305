"""The OpenAPI document: made from the routes, the schemas that validate, and a table of what they answer."""
