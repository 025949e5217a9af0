"""The gate's answer for people and programs."""
