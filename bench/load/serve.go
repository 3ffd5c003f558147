// The backend: by the first bytes of a connection it speaks HTTP/1.1, gRPC, any of both in TLS, or echoes.
package main

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
)

// tlsHandshake is the type of a record of TLS that begins a connection.
const tlsHandshake = 0x16

// backend is what every answer carries, alone and behind a head of HTTP/1.1.
type backend struct {
	body   []byte
	answer []byte
}

// read is a connection of which a reader has read ahead.
type read struct {
	net.Conn
	reader *bufio.Reader
}

func (own read) Read(into []byte) (int, error) { return own.reader.Read(into) }

func serve(options Options) {
	for _, address := range strings.Split(options.address, ",") {
		listener, err := net.Listen("tcp", address)
		if err != nil {
			fail(err.Error())
		}
		go accept(listener, options)
	}
	fmt.Println("serving")
	select {}
}

func accept(listener net.Listener, options Options) {
	body := content(options.body)
	head := fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n", len(body))
	own := backend{body: body, answer: append([]byte(head), body...)}
	for {
		conn, err := listener.Accept()
		if err != nil {
			fail(err.Error())
		}
		go func() {
			defer conn.Close()
			handle(conn, own)
		}()
	}
}

func handle(conn net.Conn, backend backend) {
	reader := bufio.NewReaderSize(conn, 65536)
	first, err := reader.Peek(4)
	if err != nil {
		return
	}
	announced := ""
	if text := string(first); text == "PROX" || text == signature[:4] {
		if announced, err = readProxyHeader(reader); err == nil {
			first, err = reader.Peek(4)
		}
		if err != nil {
			return
		}
	}
	switch text := string(first); {
	case text == preface[:4]:
		serveHTTP2(conn, reader, backend.body)
	case text == "GET " || text == "POST" || text == "HEAD" || text == "OPTI":
		serveHTTP1(conn, reader, backend.answer)
	case first[0] == tlsHandshake:
		secure := tls.Server(read{conn, reader}, backendTLS())
		handle(secure, backend)
		_ = secure.Close()
	default:
		if _, err := io.WriteString(conn, announced); err == nil {
			echo(conn, reader)
		}
	}
}

func serveHTTP1(conn net.Conn, reader *bufio.Reader, answer []byte) {
	for {
		head, err := readHead(reader)
		if err != nil {
			return
		}
		if bytes.Contains(bytes.ToLower(head), []byte("upgrade: websocket")) {
			if _, err := conn.Write([]byte("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n")); err != nil {
				return
			}
			echoFrames(conn, reader)
			return
		}
		if err := discardBody(reader, head); err != nil {
			return
		}
		if _, err := conn.Write(answer); err != nil {
			return
		}
	}
}

// readHead returns a head with its empty line; the slice is valid until the next read.
func readHead(reader *bufio.Reader) ([]byte, error) {
	for want := 1; ; {
		if _, err := reader.Peek(want); err != nil {
			return nil, err
		}
		have, _ := reader.Peek(reader.Buffered())
		if end := bytes.Index(have, []byte("\r\n\r\n")); end >= 0 {
			head := have[:end+4]
			_, err := reader.Discard(len(head))
			return head, err
		}
		want = len(have) + 1
	}
}

func discardBody(reader *bufio.Reader, head []byte) error {
	if bytes.HasPrefix(head, []byte("GET ")) {
		return nil
	}
	lower := strings.ToLower(string(head))
	if strings.Contains(lower, "\r\ntransfer-encoding: chunked\r\n") {
		return discardChunks(reader)
	}
	_, rest, found := strings.Cut(lower, "\r\ncontent-length:")
	if !found {
		return nil
	}
	value, _, _ := strings.Cut(rest, "\r\n")
	length, err := strconv.Atoi(strings.TrimSpace(value))
	if err != nil {
		return err
	}
	_, err = reader.Discard(length)
	return err
}

func discardChunks(reader *bufio.Reader) error {
	for {
		line, err := reader.ReadString('\n')
		if err != nil {
			return err
		}
		size, err := strconv.ParseInt(strings.TrimSpace(line), 16, 64)
		if err != nil {
			return err
		}
		if _, err := reader.Discard(int(size) + 2); err != nil {
			return err
		}
		if size == 0 {
			return nil
		}
	}
}

func echo(conn net.Conn, reader *bufio.Reader) {
	_, _ = io.CopyBuffer(struct{ io.Writer }{conn}, struct{ io.Reader }{reader}, make([]byte, 65536))
}

// echoFrames sends back each masked frame without its mask, which is zero.
func echoFrames(conn net.Conn, reader *bufio.Reader) {
	var out []byte
	for {
		head := make([]byte, 2, 14)
		if _, err := io.ReadFull(reader, head); err != nil {
			return
		}
		length := int(head[1] & 0x7f)
		extended := map[int]int{126: 2, 127: 8}[length]
		if extended > 0 {
			more := make([]byte, extended)
			if _, err := io.ReadFull(reader, more); err != nil {
				return
			}
			head = append(head, more...)
			length = 0
			for _, digit := range more {
				length = length<<8 | int(digit)
			}
		}
		if _, err := reader.Discard(4); err != nil {
			return
		}
		head[1] &= 0x7f
		out = append(out[:0], head...)
		start := len(out)
		out = append(out, make([]byte, length)...)
		if _, err := io.ReadFull(reader, out[start:]); err != nil {
			return
		}
		if _, err := conn.Write(out); err != nil {
			return
		}
	}
}
