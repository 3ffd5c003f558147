// The backend's gRPC: answers unary calls that are as the load makes them, health checks of gRPC, and GET.
package main

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"net"
	"strings"

	"golang.org/x/net/http2/hpack"
)

const healthPath = "/grpc.health.v1.Health/Check"

// serving is a HealthCheckResponse with status SERVING.
var serving = framed([]byte{0x08, 0x01})

type grpcServer struct {
	*http2End
	answer  []byte
	request []byte
	calls   map[uint32]*served
	// Calls that have come whole and wait for window.
	waiting []uint32
}

// served is a call on its way in.
type served struct {
	method, path string
	message      []byte
	problem      string
}

// serveHTTP2 serves a connection until it ends. Every call is answered with `body` as its message.
func serveHTTP2(conn net.Conn, reader *bufio.Reader, body []byte) {
	if _, err := reader.Discard(len(preface)); err != nil {
		return
	}
	own := &grpcServer{
		http2End: newHTTP2End(conn, reader, 0),
		answer:   framed(body),
		request:  content(longestFrame),
		calls:    make(map[uint32]*served),
	}
	own.write(frameSettings, 0, 0, nil)
	for {
		one, err := own.read()
		if err != nil {
			return
		}
		own.take(one)
		own.answerWaiting()
	}
}

func (own *grpcServer) take(one frame) {
	switch one.kind {
	case frameHeaders:
		// Trailers of a request carry nothing here.
		if _, begun := own.calls[one.stream]; !begun {
			own.calls[one.stream] = own.begin()
		}
	case frameData:
		if of, found := own.calls[one.stream]; found {
			of.message = append(of.message, one.payload...)
		}
	case frameReset:
		delete(own.calls, one.stream)
		return
	default:
		return
	}
	if one.endsStream() {
		own.waiting = append(own.waiting, one.stream)
	}
}

func (own *grpcServer) begin() *served {
	of := &served{method: own.field(":method"), path: own.field(":path")}
	if of.method == "GET" {
		return of
	}
	if own.field("te") != "trailers" || !strings.HasPrefix(own.field("content-type"), contentType) {
		of.problem = "no call of gRPC: its fields"
	}
	return of
}

func (own *grpcServer) answerWaiting() {
	for len(own.waiting) > 0 {
		stream := own.waiting[0]
		if of, found := own.calls[stream]; found {
			if !own.reply(stream, of) {
				return
			}
			delete(own.calls, stream)
		}
		own.waiting = own.waiting[1:]
	}
}

var (
	okFields   = []hpack.HeaderField{{Name: ":status", Value: "200"}}
	callFields = []hpack.HeaderField{{Name: ":status", Value: "200"}, {Name: "content-type", Value: contentType}}
	endFields  = []hpack.HeaderField{{Name: "grpc-status", Value: "0"}, {Name: "grpc-message", Value: ""}}
)

// reply returns false when there is no window for it now.
func (own *grpcServer) reply(stream uint32, of *served) bool {
	if of.method == "GET" {
		own.writeHead(stream, flagEndStream, okFields)
		return true
	}
	if problem := own.problemOf(of); problem != "" {
		own.writeHead(stream, flagEndStream, []hpack.HeaderField{
			callFields[0], callFields[1], {Name: "grpc-status", Value: "3"}, {Name: "grpc-message", Value: problem},
		})
		return true
	}
	message := own.answer
	if of.path == healthPath {
		message = serving
	}
	if own.window < len(message) {
		return false
	}
	own.writeHead(stream, 0, callFields)
	own.writeData(stream, 0, message)
	own.writeHead(stream, flagEndStream, endFields)
	return true
}

// problemOf looks at a call that has come whole; one of the load has its bytes behind a prefix with their number.
func (own *grpcServer) problemOf(of *served) string {
	if of.problem != "" || of.path == healthPath {
		return of.problem
	}
	if of.method != "POST" || of.path != callPath {
		return "another method: " + of.method + " " + of.path
	}
	length := len(of.message) - prefixLength
	if length < 0 || length > len(own.request) || !bytes.Equal(of.message[prefixLength:], own.request[:length]) ||
		of.message[0] != 0 || int(binary.BigEndian.Uint32(of.message[1:])) != length {
		return "a message that is not the client's"
	}
	return ""
}
