// The load of the peers' benchmark, and its backend: one small program that costs little beside what it measures.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"runtime"
	"time"
)

// Result is what every kind of load prints, as one line of JSON.
type Result struct {
	// Units of work that were done completely: requests, exchanges, messages.
	Requests int64 `json:"requests"`
	// Seconds that they took.
	Seconds float64 `json:"seconds"`
	// Everything that went wrong, in words; a run with any is no result.
	Problems []string `json:"problems"`
	// Milliseconds from when a request was due, at a fixed rate; absent otherwise.
	Latency *Latency `json:"latency,omitempty"`
	// Share of TLS handshakes that resumed a session, 0 to 1; absent without TLS.
	Resumed *float64 `json:"resumed,omitempty"`
}

// Latency holds quantiles in milliseconds.
type Latency struct {
	P50 float64 `json:"p50"`
	P90 float64 `json:"p90"`
	P99 float64 `json:"p99"`
	Max float64 `json:"max"`
}

// Options of all kinds of load.
type Options struct {
	address     string
	host        string
	connections int
	seconds     float64
	body        int
	upload      int
	size        int
	streams     int
	tls         bool
	fresh       bool
	announced   bool
	certificate string
	resume      bool
	rate        float64
	procs       int
	// Fields beside those that every request has, and hosts that are named in turn; with one, options.host is.
	headers int
	hosts   int
	// Clients below this share of all use TLS at this address.
	tlsAddress string
	tlsShare   float64
	// Which of the clients this is, from 0.
	index int
}

func main() {
	if len(os.Args) < 2 {
		fail("usage: load serve|grpc|http|idle|tcp|websocket [OPTIONS]")
	}
	kind := os.Args[1]
	var options Options
	flags := flag.NewFlagSet(kind, flag.ExitOnError)
	flags.StringVar(&options.address, "address", "127.0.0.1:8080", "host:port to connect to, or to listen on")
	flags.StringVar(&options.host, "host", "bench.example", "Host field and SNI")
	flags.IntVar(&options.connections, "connections", 64, "connections, one request in progress on each")
	flags.Float64Var(&options.seconds, "seconds", 1, "how long")
	flags.IntVar(&options.body, "body", 66, "bytes of the body that every answer must carry")
	flags.IntVar(&options.upload, "upload", 0, "bytes of the body that every request carries; 0 is GET")
	flags.IntVar(&options.size, "size", 65536, "bytes of a message (tcp, websocket, grpc's requests)")
	flags.IntVar(&options.streams, "streams", 1, "calls in progress on each connection (grpc)")
	flags.BoolVar(&options.tls, "tls", false, "speak TLS 1.3")
	flags.BoolVar(&options.fresh, "new", false, "a new connection for each request or message (http, tcp)")
	flags.BoolVar(&options.announced, "announced", false, "the backend must have been told the client's address by a PROXY header (tcp)")
	flags.StringVar(&options.certificate, "certificate", "", "common name that the other end's certificate must have; any without")
	flags.BoolVar(&options.resume, "resume", false, "resume TLS sessions on new connections")
	flags.Float64Var(&options.rate, "rate", 0, "requests a second in all; 0 is as fast as answers come")
	flags.IntVar(&options.procs, "procs", 1, "operating system threads that run Go code")
	flags.IntVar(&options.headers, "headers", 0, "more fields in each request")
	flags.IntVar(&options.hosts, "hosts", 1, "hosts h0.bench.example, h1... that requests name in turn; 1 is -host")
	flags.StringVar(&options.tlsAddress, "tls-address", "", "where the clients of -tls-share connect to")
	flags.Float64Var(&options.tlsShare, "tls-share", 0, "share of clients that speak TLS, 0 to 1")
	if err := flags.Parse(os.Args[2:]); err != nil {
		fail(err.Error())
	}
	runtime.GOMAXPROCS(options.procs)
	switch kind {
	case "serve":
		serve(options)
	case "grpc":
		report(run(options, newGRPCClient))
	case "http":
		report(run(options, newHTTPClient))
	case "idle":
		idle(options)
	case "tcp":
		report(run(options, newTCPClient))
	case "websocket":
		report(run(options, newWebSocketClient))
	default:
		fail("unknown kind of load: " + kind)
	}
}

func report(result Result) {
	if result.Problems == nil {
		result.Problems = []string{}
	}
	line, err := json.Marshal(result)
	if err != nil {
		fail(err.Error())
	}
	fmt.Println(string(line))
}

func fail(message string) {
	fmt.Fprintln(os.Stderr, message)
	os.Exit(2)
}

// deadline bounds every read and write: a proxy that hangs is a problem and not an endless run.
const deadline = 10 * time.Second
