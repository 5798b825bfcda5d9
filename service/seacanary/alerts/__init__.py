"""Alerts: rules that make a few messages for people of many events."""
