"""The rules: intake, policy, routing, claims, decisions, evidence, insights.

Verbs take a session first and never commit: a change runs as `Database.write(verb, ...)`. Frozen records come back.
"""
