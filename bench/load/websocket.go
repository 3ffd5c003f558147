// Messages of a WebSocket (RFC 6455) to an echo behind the proxy: one masked frame there, one plain frame back.
package main

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"strings"
	"time"
)

type webSocketClient struct {
	conn   net.Conn
	frame  []byte
	answer []byte
	buffer []byte
}

const upgrade = "GET /socket HTTP/1.1\r\nHost: bench.example\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" +
	"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"

func newWebSocketClient(options Options) (client, error) {
	conn, err := net.DialTimeout("tcp", options.address, deadline)
	if err != nil {
		return nil, err
	}
	own := &webSocketClient{conn: conn}
	payload := content(options.size)
	// A mask of zeros leaves the payload readable to the echo, which does not unmask.
	own.frame = append(frameHead(options.size, true), payload...)
	own.answer = append(frameHead(options.size, false), payload...)
	own.buffer = make([]byte, len(own.answer))
	_ = conn.SetDeadline(time.Now().Add(deadline))
	if _, err := conn.Write([]byte(upgrade)); err != nil {
		return nil, err
	}
	head := make([]byte, 0, 1024)
	one := make([]byte, 1)
	for !bytes.HasSuffix(head, []byte("\r\n\r\n")) {
		if _, err := conn.Read(one); err != nil {
			return nil, err
		}
		head = append(head, one[0])
	}
	if !strings.HasPrefix(string(head), "HTTP/1.1 101 ") {
		return nil, errors.New("no switch of protocols: " + strings.SplitN(string(head), "\r\n", 2)[0])
	}
	return own, nil
}

func frameHead(length int, masked bool) []byte {
	mask := byte(0)
	if masked {
		mask = 0x80
	}
	head := []byte{0x82}
	switch {
	case length < 126:
		head = append(head, mask|byte(length))
	case length < 65536:
		head = binary.BigEndian.AppendUint16(append(head, mask|126), uint16(length))
	default:
		head = binary.BigEndian.AppendUint64(append(head, mask|127), uint64(length))
	}
	if masked {
		head = append(head, 0, 0, 0, 0)
	}
	return head
}

func (own *webSocketClient) do() error {
	_ = own.conn.SetDeadline(time.Now().Add(deadline))
	if _, err := own.conn.Write(own.frame); err != nil {
		return err
	}
	if _, err := io.ReadFull(own.conn, own.buffer); err != nil {
		return err
	}
	if !bytes.Equal(own.buffer, own.answer) {
		return errors.New("another message came back")
	}
	return nil
}

func (own *webSocketClient) handshakes() (int64, int64) { return 0, 0 }

func (own *webSocketClient) close() { _ = own.conn.Close() }
