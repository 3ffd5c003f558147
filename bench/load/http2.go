// One end of an HTTP/2 connection (RFC 9113), as far as unary calls of gRPC need it: heads and messages of one frame each.
package main

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"time"

	"golang.org/x/net/http2/hpack"
)

const preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

const (
	frameData         = 0x0
	frameHeaders      = 0x1
	frameReset        = 0x3
	frameSettings     = 0x4
	framePing         = 0x6
	frameGoAway       = 0x7
	frameWindowUpdate = 0x8

	flagAck        = 0x1
	flagEndStream  = 0x1
	flagEndHeaders = 0x4
	flagPadded     = 0x8
	flagPriority   = 0x20

	settingTableSize     = 0x1
	settingPush          = 0x2
	settingInitialWindow = 0x4

	frameHeadLength = 9
	// Neither end here asks for longer frames or for larger windows than what holds without SETTINGS.
	longestFrame  = 16384
	initialWindow = 65535
	tableSize     = 4096
)

type frame struct {
	kind, flags byte
	stream      uint32
	// Without padding; valid until the next read.
	payload []byte
}

func (one frame) endsStream() bool { return one.flags&flagEndStream != 0 }

// code is what a RST_STREAM or a GOAWAY says.
func (one frame) code() uint32 {
	if one.kind == frameGoAway {
		return binary.BigEndian.Uint32(one.payload[4:])
	}
	return binary.BigEndian.Uint32(one.payload)
}

type http2End struct {
	conn   net.Conn
	reader *bufio.Reader
	writer *bufio.Writer
	// How long the other end may say nothing; 0 is for ever.
	patience time.Duration
	encoder  *hpack.Encoder
	block    bytes.Buffer
	decoder  *hpack.Decoder
	// Of the last head that was read.
	fields []hpack.HeaderField
	// Bytes of the last frame, which are still in the reader.
	taken int
	// What the other end takes of DATA now, and what on a stream that begins.
	window       int
	streamWindow int
	// DATA that the other end has not got leave for again.
	owed int
}

func newHTTP2End(conn net.Conn, reader *bufio.Reader, patience time.Duration) *http2End {
	own := &http2End{conn: conn, reader: reader, patience: patience, window: initialWindow, streamWindow: initialWindow}
	own.writer = bufio.NewWriterSize(conn, 65536)
	own.encoder = hpack.NewEncoder(&own.block)
	own.decoder = hpack.NewDecoder(tableSize, func(field hpack.HeaderField) { own.fields = append(own.fields, field) })
	return own
}

func (own *http2End) write(kind, flags byte, stream uint32, payload []byte) {
	var head [frameHeadLength]byte
	binary.BigEndian.PutUint32(head[:4], uint32(len(payload))<<8|uint32(kind))
	head[4] = flags
	binary.BigEndian.PutUint32(head[5:], stream)
	// A write that fails makes the flush fail.
	_, _ = own.writer.Write(head[:])
	_, _ = own.writer.Write(payload)
}

func (own *http2End) writeSetting(id uint16, value uint32) {
	own.write(frameSettings, 0, 0, binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint16(nil, id), value))
}

func (own *http2End) writeHead(stream uint32, flags byte, fields []hpack.HeaderField) {
	own.block.Reset()
	for _, field := range fields {
		// Into a buffer that grows: no error.
		_ = own.encoder.WriteField(field)
	}
	own.write(frameHeaders, flags|flagEndHeaders, stream, own.block.Bytes())
}

// writeData needs leave: the caller has looked at window and streamWindow.
func (own *http2End) writeData(stream uint32, flags byte, data []byte) {
	own.window -= len(data)
	own.write(frameData, flags, stream, data)
}

// read returns the next frame that is about a stream, and those that may let the caller go on: more window, GOAWAY.
func (own *http2End) read() (frame, error) {
	for {
		one, err := own.readAny()
		if err != nil {
			return one, err
		}
		switch one.kind {
		case frameSettings:
			if one.flags&flagAck == 0 {
				own.obey(one.payload)
				own.write(frameSettings, flagAck, 0, nil)
			}
		case framePing:
			if one.flags&flagAck == 0 {
				own.write(framePing, flagAck, 0, one.payload)
			}
		case frameWindowUpdate:
			if one.stream == 0 {
				own.window += int(binary.BigEndian.Uint32(one.payload))
				return one, nil
			}
		case frameData:
			own.giveBack(len(one.payload))
			return unpadded(one)
		case frameHeaders:
			return own.decode(one)
		case frameReset, frameGoAway:
			return one, nil
		}
	}
}

func (own *http2End) readAny() (frame, error) {
	_, _ = own.reader.Discard(own.taken)
	own.taken = 0
	head, err := own.peek(frameHeadLength)
	if err != nil {
		return frame{}, err
	}
	length := int(binary.BigEndian.Uint32(head[:4]) >> 8)
	if length > longestFrame {
		return frame{}, fmt.Errorf("a frame of %d bytes", length)
	}
	whole, err := own.peek(frameHeadLength + length)
	if err != nil {
		return frame{}, err
	}
	own.taken = len(whole)
	stream := binary.BigEndian.Uint32(whole[5:]) & 0x7fffffff
	return frame{kind: whole[3], flags: whole[4], stream: stream, payload: whole[frameHeadLength:]}, nil
}

// peek sends what waits before it waits itself: frames of one read are answered in one write.
func (own *http2End) peek(count int) ([]byte, error) {
	if own.reader.Buffered() < count {
		if own.patience > 0 {
			_ = own.conn.SetDeadline(time.Now().Add(own.patience))
		}
		if err := own.writer.Flush(); err != nil {
			return nil, err
		}
	}
	return own.reader.Peek(count)
}

func (own *http2End) obey(settings []byte) {
	for ; len(settings) >= 6; settings = settings[6:] {
		value := binary.BigEndian.Uint32(settings[2:])
		switch binary.BigEndian.Uint16(settings) {
		case settingTableSize:
			own.encoder.SetMaxDynamicTableSizeLimit(value)
		case settingInitialWindow:
			own.streamWindow = int(value)
		}
	}
}

// giveBack lets the other end send again what has come: of the connection, since a message needs no more than its stream has.
func (own *http2End) giveBack(count int) {
	own.owed += count
	if own.owed >= initialWindow/4 {
		own.write(frameWindowUpdate, 0, 0, binary.BigEndian.AppendUint32(nil, uint32(own.owed)))
		own.owed = 0
	}
}

func (own *http2End) decode(one frame) (frame, error) {
	if one.flags&flagEndHeaders == 0 {
		return one, errors.New("a head in several frames")
	}
	one, err := unpadded(one)
	if err != nil {
		return one, err
	}
	if one.flags&flagPriority != 0 {
		if len(one.payload) < 5 {
			return one, errors.New("a HEADERS frame that is too short")
		}
		one.payload = one.payload[5:]
	}
	own.fields = own.fields[:0]
	if _, err := own.decoder.Write(one.payload); err != nil {
		return one, err
	}
	return one, own.decoder.Close()
}

func unpadded(one frame) (frame, error) {
	if one.flags&flagPadded == 0 {
		return one, nil
	}
	if len(one.payload) == 0 || int(one.payload[0]) >= len(one.payload) {
		return one, errors.New("more padding than frame")
	}
	one.payload = one.payload[1 : len(one.payload)-int(one.payload[0])]
	return one, nil
}

// field is the value of a field of the last head, or nothing.
func (own *http2End) field(name string) string {
	for _, field := range own.fields {
		if field.Name == name {
			return field.Value
		}
	}
	return ""
}
