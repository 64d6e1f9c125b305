"""The OpenAPI document: made from the routes, the schemas that validate, and what stands beside the views."""
