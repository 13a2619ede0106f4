"""Settings that only etcd members need; any setting may stand here instead of in all.py."""

# etcd_compaction_retention = "1h"
