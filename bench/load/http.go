// HTTP/1.1 requests over bare sockets: the bytes of a request are made once, answers are compared byte for byte.
package main

import (
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"time"
)

type httpClient struct {
	options Options
	request []byte
	body    []byte
	config  *tls.Config
	conn    net.Conn
	buffer  []byte
	all     int64
	again   int64
	// Parts of a request around the name of its host, and which host is next; unused with a single one.
	before []byte
	after  []byte
	next   int
}

// content is what the backend answers with: the same bytes for the same length.
func content(length int) []byte {
	return bytes.Repeat([]byte("0123456789abcdef"), length/16+1)[:length]
}

// headRoom is what an answer's head may take, with the bytes of the next that come with it.
const headRoom = 8192

// shared is content, once for all clients.
func shared(length int) []byte {
	sharedOnce.Do(func() { sharedContent = content(length) })
	return sharedContent
}

var (
	sharedOnce    sync.Once
	sharedContent []byte
)

func newHTTPClient(options Options) (client, error) {
	own := &httpClient{options: options, body: shared(options.body), next: options.index}
	own.buffer = make([]byte, options.body+headRoom)
	own.request = requestBytes(options)
	if options.hosts > 1 {
		name := []byte("Host: " + options.host)
		at := bytes.Index(own.request, name) + len("Host: ")
		own.before, own.after = own.request[:at:at], own.request[at+len(options.host):]
		own.request = nil
	}
	if options.tls {
		own.config = clientTLS(options.host)
		if options.resume {
			own.config.ClientSessionCache = tls.NewLRUClientSessionCache(4)
		}
	}
	if options.fresh {
		return own, nil
	}
	return own, own.connect()
}

func requestBytes(options Options) []byte {
	connection := ""
	if options.fresh {
		connection = "Connection: close\r\n"
	}
	common := "Host: " + options.host + "\r\nUser-Agent: portico-bench\r\nAccept: */*\r\n" + connection
	for index := range options.headers {
		common += fmt.Sprintf("X-Bench-Field-%d: a value of a usual length, %d\r\n", index, index)
	}
	if options.upload == 0 {
		return []byte("GET / HTTP/1.1\r\n" + common + "\r\n")
	}
	head := fmt.Sprintf("POST / HTTP/1.1\r\n%sContent-Length: %d\r\n\r\n", common, options.upload)
	return append([]byte(head), content(options.upload)...)
}

func (own *httpClient) connect() error {
	conn, err := net.DialTimeout("tcp", own.options.address, deadline)
	if err != nil {
		return err
	}
	if own.config == nil {
		own.conn = conn
		return nil
	}
	secure := tls.Client(conn, own.config)
	_ = secure.SetDeadline(time.Now().Add(deadline))
	if err := secure.Handshake(); err != nil {
		return err
	}
	if name := secure.ConnectionState().PeerCertificates[0].Subject.CommonName; own.options.certificate != "" && name != own.options.certificate {
		return fmt.Errorf("the certificate of %s", name)
	}
	own.all++
	if secure.ConnectionState().DidResume {
		own.again++
	}
	own.conn = secure
	return nil
}

func (own *httpClient) do() error {
	if own.options.fresh {
		if err := own.connect(); err != nil {
			return err
		}
		defer own.conn.Close()
	}
	if own.options.hosts > 1 {
		own.request = append(append(append(own.request[:0], own.before...), fmt.Sprintf("h%d.bench.example", own.next%own.options.hosts)...), own.after...)
		own.next += own.options.connections
	}
	_ = own.conn.SetDeadline(time.Now().Add(deadline))
	if _, err := own.conn.Write(own.request); err != nil {
		return err
	}
	return own.read()
}

func (own *httpClient) read() error {
	have, head := 0, -1
	for {
		count, err := own.conn.Read(own.buffer[have:])
		if count == 0 && err != nil {
			return fmt.Errorf("after %d bytes of an answer: %w", have, err)
		}
		have += count
		if head < 0 {
			if end := bytes.Index(own.buffer[:have], []byte("\r\n\r\n")); end >= 0 {
				head = end + 4
				if problem := judge(own.buffer[:head], own.options.body); problem != nil {
					return problem
				}
			}
		}
		if head >= 0 && have-head >= len(own.body) {
			if !bytes.Equal(own.buffer[head:have], own.body) {
				return errors.New("an answer with a body that is not the backend's")
			}
			return nil
		}
	}
}

func judge(head []byte, length int) error {
	text := string(head)
	if !strings.HasPrefix(text, "HTTP/1.1 200 ") {
		return errors.New("answered with " + strings.SplitN(text, "\r\n", 2)[0])
	}
	if !strings.Contains(strings.ToLower(text), fmt.Sprintf("\r\ncontent-length: %d\r\n", length)) {
		return errors.New("an answer without the backend's length")
	}
	return nil
}

func (own *httpClient) handshakes() (int64, int64) { return own.all, own.again }

func (own *httpClient) close() {
	if own.conn != nil {
		_ = own.conn.Close()
	}
}
