// Exchanges of bytes with an echo behind a TCP proxy: a message goes there and comes back whole.
package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"time"
)

type tcpClient struct {
	options Options
	conn    net.Conn
	message []byte
	buffer  []byte
}

func newTCPClient(options Options) (client, error) {
	own := &tcpClient{options: options, message: content(options.size), buffer: make([]byte, options.size)}
	if options.fresh {
		return own, nil
	}
	return own, own.connect()
}

func (own *tcpClient) connect() (err error) {
	own.conn, err = net.DialTimeout("tcp", own.options.address, deadline)
	return err
}

func (own *tcpClient) do() error {
	if own.options.fresh {
		if err := own.connect(); err != nil {
			return err
		}
		defer own.conn.Close()
	}
	_ = own.conn.SetDeadline(time.Now().Add(deadline))
	// A message larger than the buffers on the way must be read while it is written.
	written := make(chan error, 1)
	go func() {
		_, err := own.conn.Write(own.message)
		written <- err
	}()
	if own.options.announced {
		if err := own.readAnnouncement(); err != nil {
			return err
		}
	}
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

// readAnnouncement compares whom the backend was told of with who this is.
func (own *tcpClient) readAnnouncement() error {
	want := announcement(own.conn.LocalAddr().String(), own.conn.RemoteAddr().String())
	have := make([]byte, len(want))
	if _, err := io.ReadFull(own.conn, have); err != nil {
		return err
	}
	if string(have) != want {
		return fmt.Errorf("the backend was told %q in place of %q", have, want)
	}
	return nil
}

func (own *tcpClient) handshakes() (int64, int64) { return 0, 0 }

func (own *tcpClient) close() {
	if own.conn != nil {
		_ = own.conn.Close()
	}
}
