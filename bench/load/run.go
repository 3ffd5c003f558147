// Runs clients side by side, as fast as answers come or at a fixed rate.
package main

import (
	"sort"
	"sync"
	"time"
)

// client does one unit of work after another on a connection of its own.
type client interface {
	// do returns the problem that there was, or nil.
	do() error
	// resumed counts TLS handshakes, and those of them that resumed a session.
	handshakes() (all, resumed int64)
	close()
}

// drainer is a client with several units of work in progress, which it completes when the time is over.
type drainer interface {
	drain() (done int64, err error)
}

type outcome struct {
	done      int64
	latencies []time.Duration
	problem   error
	all       int64
	resumed   int64
}

// opening holds one for each connection that is being made before the load begins.
var opening = make(chan struct{}, 64)

func run(options Options, create func(Options) (client, error)) Result {
	outcomes := make([]outcome, options.connections)
	var ready, finished sync.WaitGroup
	start := make(chan time.Time)
	ready.Add(options.connections)
	finished.Add(options.connections)
	for index := range outcomes {
		go func() {
			defer finished.Done()
			work(options, index, create, &ready, start, &outcomes[index])
		}()
	}
	ready.Wait()
	begin := time.Now()
	for range outcomes {
		start <- begin
	}
	finished.Wait()
	return sum(outcomes, time.Since(begin), options)
}

func work(options Options, index int, create func(Options) (client, error), ready *sync.WaitGroup, start chan time.Time, out *outcome) {
	options.index = index
	if float64(index) < options.tlsShare*float64(options.connections) {
		options.tls, options.address = true, options.tlsAddress
	}
	// Thousands of connections at once would overflow the queue of the listener.
	opening <- struct{}{}
	own, err := create(options)
	<-opening
	ready.Done()
	begin := <-start
	if err != nil {
		out.problem = err
		return
	}
	defer own.close()
	end := begin.Add(time.Duration(options.seconds * float64(time.Second)))
	// At a fixed rate each client has its own times, evenly between the others'.
	var interval, offset time.Duration
	if options.rate > 0 {
		interval = time.Duration(float64(time.Second) * float64(options.connections) / options.rate)
		offset = interval * time.Duration(index) / time.Duration(options.connections)
	}
	for turn := 0; ; turn++ {
		due := begin.Add(offset + interval*time.Duration(turn))
		if options.rate > 0 {
			if due.After(end) {
				break
			}
			time.Sleep(time.Until(due))
		} else if !time.Now().Before(end) {
			break
		}
		if err := own.do(); err != nil {
			out.problem = err
			return
		}
		out.done++
		// From when it was due and not from when it was sent: a request that had to wait for the one before counts
		// the wait (coordinated omission).
		if options.rate > 0 {
			out.latencies = append(out.latencies, time.Since(due))
		}
	}
	if several, ok := own.(drainer); ok {
		done, err := several.drain()
		out.done += done
		if err != nil {
			out.problem = err
			return
		}
	}
	out.all, out.resumed = own.handshakes()
}

func sum(outcomes []outcome, took time.Duration, options Options) Result {
	result := Result{Seconds: took.Seconds()}
	var latencies []time.Duration
	var all, resumed int64
	for _, one := range outcomes {
		result.Requests += one.done
		latencies = append(latencies, one.latencies...)
		all += one.all
		resumed += one.resumed
		if one.problem != nil && len(result.Problems) < 5 {
			result.Problems = append(result.Problems, one.problem.Error())
		}
	}
	if len(latencies) > 0 {
		sort.Slice(latencies, func(a, b int) bool { return latencies[a] < latencies[b] })
		at := func(share float64) float64 {
			return float64(latencies[int(share*float64(len(latencies)-1))]) / float64(time.Millisecond)
		}
		result.Latency = &Latency{P50: at(0.5), P90: at(0.9), P99: at(0.99), Max: at(1)}
	}
	if all > 0 {
		share := float64(resumed) / float64(all)
		result.Resumed = &share
	}
	return result
}
