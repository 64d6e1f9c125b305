"""Alerts: rules over windows, whose changes of state stand in the log."""
