// Command kube holds a whole Kubernetes control plane and its client: etcd, kube-apiserver,
// kube-controller-manager, kube-proxy and kubectl, each a subcommand, so that the cluster test
// needs nothing but a Go toolchain.
package main

import (
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"
	"go.etcd.io/etcd/server/v3/embed"
	"k8s.io/component-base/cli"
	"k8s.io/component-base/logs"
	kubectl "k8s.io/kubectl/pkg/cmd"
	"k8s.io/kubectl/pkg/cmd/util"
	apiserver "k8s.io/kubernetes/cmd/kube-apiserver/app"
	controllers "k8s.io/kubernetes/cmd/kube-controller-manager/app"
	proxy "k8s.io/kubernetes/cmd/kube-proxy/app"
)

// An etcd with an empty data directory is ready within a second; anything near this limit is a fault.
const etcdReadyTimeout = 30 * time.Second

func main() {
	programs := map[string]func() *cobra.Command{
		"etcd":                    etcd,
		"kube-apiserver":          func() *cobra.Command { return apiserver.NewAPIServerCommand() },
		"kube-controller-manager": func() *cobra.Command { return controllers.NewControllerManagerCommand() },
		"kube-proxy":              func() *cobra.Command { return proxy.NewProxyCommand() },
		"kubectl":                 nil,
	}
	// Called through a link named after a program, it is that program; otherwise the first argument names it.
	name := filepath.Base(os.Args[0])
	if _, linked := programs[name]; !linked {
		if len(os.Args) < 2 {
			usage()
		}
		// Every program parses os.Args itself, and each must see its own name first.
		os.Args = os.Args[1:]
		name = os.Args[0]
	}
	program, known := programs[name]
	if !known {
		usage()
	}
	if program == nil {
		runKubectl()
		return
	}
	os.Exit(cli.Run(program()))
}

func usage() {
	fmt.Fprintln(os.Stderr, "usage: kube etcd|kube-apiserver|kube-controller-manager|kube-proxy|kubectl [flags]")
	os.Exit(64)
}

// runKubectl does what kubectl's own main function does: it prints errors in its own form and exits with its own codes.
func runKubectl() {
	if _, err := logs.GlogSetter(kubectl.GetLogVerbosity(os.Args)); err != nil {
		fmt.Fprintln(os.Stderr, "kubectl log verbosity:", err)
	}
	if err := cli.RunNoErrOutput(kubectl.NewDefaultKubectlCommand()); err != nil {
		util.CheckErr(err)
	}
}

// etcd starts the embedded server without fsync: the data must outlive a killed API server, never a crash.
func etcd() *cobra.Command {
	var directory, clients, peers string
	command := &cobra.Command{
		Use:   "etcd",
		Short: "One member, in memory as far as the disk cache goes",
		RunE: func(*cobra.Command, []string) error {
			config := embed.NewConfig()
			config.Dir = directory
			config.LogLevel = "error"
			config.UnsafeNoFsync = true
			clientURL, err := url.Parse(clients)
			if err != nil {
				return fmt.Errorf("--listen-client: %w", err)
			}
			peerURL, err := url.Parse(peers)
			if err != nil {
				return fmt.Errorf("--listen-peer: %w", err)
			}
			config.ListenClientUrls, config.AdvertiseClientUrls = []url.URL{*clientURL}, []url.URL{*clientURL}
			config.ListenPeerUrls, config.AdvertisePeerUrls = []url.URL{*peerURL}, []url.URL{*peerURL}
			config.InitialCluster = config.InitialClusterFromName(config.Name)
			server, err := embed.StartEtcd(config)
			if err != nil {
				return err
			}
			select {
			case <-server.Server.ReadyNotify():
				fmt.Println("etcd ready")
			case <-time.After(etcdReadyTimeout):
				return fmt.Errorf("etcd was not ready after %s", etcdReadyTimeout)
			}
			return <-server.Err()
		},
	}
	command.Flags().StringVar(&directory, "data-dir", "etcd.data", "where the data lies")
	command.Flags().StringVar(&clients, "listen-client", "http://127.0.0.1:2379", "URL for clients")
	command.Flags().StringVar(&peers, "listen-peer", "http://127.0.0.1:2380", "URL for other members (there are none)")
	return command
}
