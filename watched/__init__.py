"""Files of the operator, keys and rules of alerts: read again when they have changed, or as they last were good."""
