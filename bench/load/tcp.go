// Exchanges of bytes with an echo behind a TCP proxy: a message goes there and comes back whole.
package main

import (
	"bytes"
	"errors"
	"io"
	"net"
	"time"
)

type tcpClient struct {
	conn    net.Conn
	message []byte
	buffer  []byte
}

func newTCPClient(options Options) (client, error) {
	own := &tcpClient{message: content(options.size), buffer: make([]byte, options.size)}
	conn, err := net.DialTimeout("tcp", options.address, deadline)
	if err != nil {
		return nil, err
	}
	own.conn = conn
	return own, nil
}

func (own *tcpClient) do() error {
	_ = own.conn.SetDeadline(time.Now().Add(deadline))
	// A message larger than the buffers on the way must be read while it is written.
	written := make(chan error, 1)
	go func() {
		_, err := own.conn.Write(own.message)
		written <- err
	}()
	if _, err := io.ReadFull(own.conn, own.buffer); err != nil {
		return err
	}
	if err := <-written; err != nil {
		return err
	}
	if !bytes.Equal(own.buffer, own.message) {
		return errors.New("other bytes came back")
	}
	return nil
}

func (own *tcpClient) handshakes() (int64, int64) { return 0, 0 }

func (own *tcpClient) close() { _ = own.conn.Close() }
