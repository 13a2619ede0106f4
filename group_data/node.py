"""Settings that only nodes need; any setting may stand here instead of in all.py."""

# kubelet_extra_config = {"maxPods": 200}
