"""The engine: pure functions from definitions and events to memberships known ahead (RULES.md section 5)."""
