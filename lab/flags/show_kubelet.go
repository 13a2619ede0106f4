package main

import (
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	cliflag "k8s.io/component-base/cli/flag"
	"k8s.io/kubelet/config/v1beta1"
	"k8s.io/kubernetes/cmd/kubelet/app/options"
)

func init() {
	configuration = v1beta1.KubeletConfiguration{}
	// The kubelet parses with a set of its own, made in NewKubeletCommand like this.
	allFlags = func(*cobra.Command) *pflag.FlagSet {
		flags := pflag.NewFlagSet("kubelet", pflag.ContinueOnError)
		flags.SetNormalizeFunc(cliflag.WordSepNormalizeFunc)
		config, err := options.NewKubeletConfiguration()
		if err != nil {
			panic(err)
		}
		options.NewKubeletFlags().AddFlags(flags)
		options.AddKubeletConfigFlags(flags, config)
		options.AddGlobalFlags(flags)
		return flags
	}
}
