"""
The machines. Each line of `machines` gives a machine's name and the address that ssh and the cluster use; the groups
below say what each machine does. Their settings are in group_data/; `python -m kubeinfra check inventory.py` reads
both without connecting anywhere.
"""

machines = [
    ("master01", {"ssh_hostname": "192.168.80.10"}),
    ("master02", {"ssh_hostname": "192.168.80.20"}),
    ("node01", {"ssh_hostname": "192.168.80.11"}),
    ("node02", {"ssh_hostname": "192.168.80.12"}),
    ("lb01", {"ssh_hostname": "192.168.80.13"}),
    ("lb02", {"ssh_hostname": "192.168.80.14"}),
]

master = ["master01", "master02"]  # API server, controller-manager, scheduler
node = ["node01", "node02"]  # kubelet, kube-proxy, Docker, pods
etcd = ["master01", "node01", "node02"]  # 1, 3 or 5; new members become etcd01, etcd02, ... in the order of `machines`
lb = ["lb01", "lb02"]  # nginx and keepalived in front of the masters; the first of `machines` holds virtual_ip
