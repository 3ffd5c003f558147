// Connections that have done one request and then wait, for as long as the program runs.
package main

import (
	"fmt"
	"sync"
)

func idle(options Options) {
	clients := make([]client, options.connections)
	problems := make(chan error, options.connections)
	var opened sync.WaitGroup
	for index := range clients {
		opened.Add(1)
		go func() {
			defer opened.Done()
			opening <- struct{}{}
			defer func() { <-opening }()
			own, err := newHTTPClient(options)
			if err == nil {
				err = own.do()
			}
			if err != nil {
				problems <- err
			}
			clients[index] = own
		}()
	}
	opened.Wait()
	if len(problems) > 0 {
		fail((<-problems).Error())
	}
	fmt.Println("open")
	select {}
}
