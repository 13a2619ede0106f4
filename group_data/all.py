"""Settings of the cluster. docs/settings.md lists all of them; these are the likeliest to be changed."""

# The Kubernetes release. The newest that is known here is 1.37.2; `python -m kubeinfra releases` lists them.
# Decide before the first run: of a running cluster only the patch, the third number, may be changed here.
kubernetes_version = "1.20.15"

# Networks of Services and pods: no machine may be in them. Decide before the first run: a later change breaks the
# cluster.
service_cidr = "10.0.0.0/24"
dns_address = "10.0.0.2"
cluster_cidr = "10.244.0.0/16"

# Docker's packages, and mirrors of Docker Hub (Aliyun gives each customer one of their own).
docker_repository = "https://mirrors.aliyun.com/docker-ce"
# registry_mirrors = ["https://<yours>.mirror.aliyuncs.com"]

# How pyinfra connects as an ordinary user.
# ssh_user = "you"
# _sudo = True
