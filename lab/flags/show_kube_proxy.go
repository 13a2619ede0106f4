package main

import "k8s.io/kube-proxy/config/v1alpha1"

func init() { configuration = v1alpha1.KubeProxyConfiguration{} }
