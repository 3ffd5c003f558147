// Unary calls of gRPC over HTTP/2: several in progress on each connection, every message, status and trailer compared.
package main

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"strings"

	"golang.org/x/net/http2/hpack"
)

const (
	callPath    = "/bench.Echo/Call"
	contentType = "application/grpc"
	// One byte says that a message is not compressed, four how long it is.
	prefixLength = 5
)

// framed is a message behind its prefix.
func framed(message []byte) []byte {
	return append(binary.BigEndian.AppendUint32([]byte{0}, uint32(len(message))), message...)
}

type grpcClient struct {
	*http2End
	options Options
	fields  []hpack.HeaderField
	request []byte
	answer  []byte
	calls   map[uint32]*call
	next    uint32
}

// call is what has come of an answer.
type call struct {
	head bool
	have int
}

func newGRPCClient(options Options) (client, error) {
	conn, err := net.DialTimeout("tcp", options.address, deadline)
	if err != nil {
		return nil, err
	}
	scheme := "http"
	if options.tls {
		scheme = "https"
		if conn, err = agreeOnHTTP2(conn, options.host); err != nil {
			return nil, err
		}
	}
	own := &grpcClient{
		http2End: newHTTP2End(conn, bufio.NewReaderSize(conn, 65536), deadline),
		options:  options,
		request:  framed(content(options.size)),
		answer:   framed(content(options.body)),
		calls:    make(map[uint32]*call),
		next:     1,
	}
	if len(own.request) > longestFrame {
		return nil, fmt.Errorf("a message of more than %d bytes", longestFrame)
	}
	own.fields = []hpack.HeaderField{
		{Name: ":method", Value: "POST"},
		{Name: ":scheme", Value: scheme},
		{Name: ":path", Value: callPath},
		{Name: ":authority", Value: options.host},
		{Name: "content-type", Value: contentType},
		{Name: "user-agent", Value: "portico-bench"},
		{Name: "te", Value: "trailers"},
	}
	if _, err := own.writer.WriteString(preface); err != nil {
		return nil, err
	}
	own.writeSetting(settingPush, 0)
	return own, nil
}

func agreeOnHTTP2(conn net.Conn, host string) (net.Conn, error) {
	secure := tls.Client(conn, clientTLS(host, "h2"))
	if err := secure.Handshake(); err != nil {
		return nil, err
	}
	if protocol := secure.ConnectionState().NegotiatedProtocol; protocol != "h2" {
		return nil, fmt.Errorf("ALPN agreed on %q", protocol)
	}
	return secure, nil
}

// do completes one call, whichever is answered first; others stay in progress.
func (own *grpcClient) do() error {
	for len(own.calls) < own.options.streams && own.window >= len(own.request) {
		if err := own.begin(); err != nil {
			return err
		}
	}
	for {
		if done, err := own.step(); done || err != nil {
			return err
		}
	}
}

// drain completes those that are in progress when the time is over: none is cancelled, and each has its line in the log.
func (own *grpcClient) drain() (done int64, err error) {
	for len(own.calls) > 0 {
		one, err := own.step()
		if err != nil {
			return done, err
		}
		if one {
			done++
		}
	}
	return done, nil
}

func (own *grpcClient) begin() error {
	if own.streamWindow < len(own.request) {
		return fmt.Errorf("a stream takes only %d bytes", own.streamWindow)
	}
	own.writeHead(own.next, 0, own.fields)
	own.writeData(own.next, flagEndStream, own.request)
	own.calls[own.next] = &call{}
	own.next += 2
	return nil
}

// step takes one frame; done says that it completed a call.
func (own *grpcClient) step() (done bool, err error) {
	one, err := own.read()
	if err != nil {
		return false, fmt.Errorf("with %d calls in progress: %w", len(own.calls), err)
	}
	switch one.kind {
	case frameGoAway:
		return false, fmt.Errorf("GOAWAY with code %d", one.code())
	case frameReset:
		return false, fmt.Errorf("a call was reset with code %d", one.code())
	}
	// More window, for calls that begin.
	if one.stream == 0 {
		return false, nil
	}
	of, found := own.calls[one.stream]
	if !found {
		return false, fmt.Errorf("a frame of stream %d, which has ended", one.stream)
	}
	if one.kind == frameData {
		return false, own.take(of, one)
	}
	if !of.head {
		of.head = true
		return false, own.judgeHead(one)
	}
	delete(own.calls, one.stream)
	return true, own.judgeTrailers(of, one)
}

func (own *grpcClient) take(of *call, one frame) error {
	if one.endsStream() {
		return errors.New("an answer without trailers")
	}
	if !of.head || !bytes.HasPrefix(own.answer[of.have:], one.payload) {
		return errors.New("a message that is not the backend's")
	}
	of.have += len(one.payload)
	return nil
}

func (own *grpcClient) judgeHead(one frame) error {
	status, kind := own.field(":status"), own.field("content-type")
	if one.endsStream() {
		return fmt.Errorf("status %s, gRPC status %q: %s", status, own.field("grpc-status"), own.field("grpc-message"))
	}
	if status != "200" || !strings.HasPrefix(kind, contentType) {
		return fmt.Errorf("answered with %s and %q", status, kind)
	}
	return nil
}

func (own *grpcClient) judgeTrailers(of *call, one frame) error {
	if status := own.field("grpc-status"); status != "0" {
		return fmt.Errorf("gRPC status %q: %s", status, own.field("grpc-message"))
	}
	if !one.endsStream() || of.have != len(own.answer) {
		return fmt.Errorf("%d of %d bytes of a message before its trailers", of.have, len(own.answer))
	}
	return nil
}

func (own *grpcClient) handshakes() (int64, int64) { return 0, 0 }

func (own *grpcClient) close() { _ = own.conn.Close() }
