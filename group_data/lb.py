"""Settings that only load balancers need; any setting may stand here instead of in all.py."""

virtual_ip = "192.168.80.100"  # free, in the load balancers' subnet

# vrrp_router_id = 51  # another one if another pair of load balancers is in the same network
