"""Settings that only load balancers need; any setting may stand here instead of in all.py."""
