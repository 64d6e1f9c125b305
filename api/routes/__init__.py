"""One file a group of URLs: its views, and what the OpenAPI document says of them."""
