"""Settings that only masters need; any setting may stand here instead of in all.py."""

# apiserver_extra_args = {"event-ttl": "2h"}
