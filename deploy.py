"""
From bare machines to a running cluster, in the order in which you would explain it.

A component that takes time to come up has a start half and a gate half; the work of others is between them.
All hosts wait for each other at each barrier.
"""

from kubeinfra.operations.gates import barrier
from tasks import (
    addons,
    artifacts,
    containerd,
    control_plane,
    docker,
    etcd,
    host,
    ipvs,
    load_balancer,
    network,
    nftables,
    node,
    node_objects,
    preflight,
    verify,
)

preflight.preflight()
load_balancer.check_virtual_address()
preflight.check_absent_machines()

artifacts.fetch()
barrier(name="--- releases are at hand")
host.operating_system()
barrier(name="--- operating systems are ready")
artifacts.stage(components=["etcd", "control plane"])
barrier(name="--- binaries of etcd and the control plane are on the machines")

etcd.etcd()
barrier(name="--- etcd is started")
control_plane.control_plane()
barrier(name="--- the control plane is started")
# While the control plane comes up: controller-manager 1.20 signs nothing for 11 s.
artifacts.stage(components=["container runtime", "node"])
barrier(name="--- binaries and images of the nodes are on the machines")
load_balancer.load_balancer()
barrier(name="--- load balancers are started")
docker.docker()
containerd.containerd()
ipvs.ipvs()
nftables.nftables()
barrier(name="--- container runtimes are running")
etcd.etcd_gate()
barrier(name="--- etcd is healthy")
node.preload_images()
barrier(name="--- images are loaded")
control_plane.control_plane_gate()
barrier(name="--- the control plane is ready")
load_balancer.load_balancer_gate()
barrier(name="--- the API answers at its endpoint")
control_plane.administrator()

node.node()
barrier(name="--- nodes are started")
node.node_gate()
barrier(name="--- nodes are registered")
network.network()  # not earlier: kubelet's restart with its certificate would tear down the pods that it is making
barrier(name="--- flannel is applied")
network.network_gate()
node_objects.node_objects()
barrier(name="--- nodes are Ready, and flannel runs")
addons.addons()
addons.addons_gate()
barrier(name="--- CoreDNS runs")
verify.traffic_where_changed()
addons.metrics_gate()  # after it, as the first two measurements of metrics-server are 15 s apart
verify.health()
