// PROXY headers, versions 1 and 2 (haproxy.org/download/1.8/doc/proxy-protocol.txt): which client a connection is from.
package main

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"strings"
)

const (
	signature     = "\r\n\r\n\x00\r\nQUIT\n"
	longestHeader = 512
)

// announcement is what the echo sends before a client's own bytes, so that the client can see what the header said.
func announcement(source, destination string) string { return source + " " + destination + "\n" }

// readProxyHeader returns the announcement of a header, which is empty when it names no client: a probe's.
func readProxyHeader(reader *bufio.Reader) (string, error) {
	if first, err := reader.Peek(1); err != nil {
		return "", err
	} else if first[0] == 'P' {
		return readTextHeader(reader)
	}
	head, err := reader.Peek(len(signature) + 4)
	if err != nil {
		return "", err
	}
	if string(head[:len(signature)]) != signature || head[len(signature)]>>4 != 2 {
		return "", errors.New("no PROXY header")
	}
	command, family := head[len(signature)]&0xf, head[len(signature)+1]
	length := int(binary.BigEndian.Uint16(head[len(signature)+2:]))
	if length > longestHeader {
		return "", fmt.Errorf("a PROXY header of %d bytes", length)
	}
	whole, err := reader.Peek(len(signature) + 4 + length)
	if err != nil {
		return "", err
	}
	defer func() { _, _ = reader.Discard(len(whole)) }()
	if command == 0 {
		return "", nil
	}
	addresses := whole[len(signature)+4:]
	if family != 0x11 || len(addresses) < 12 {
		return "", errors.New("a PROXY header without IPv4 addresses of TCP")
	}
	at := func(address, port int) string {
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte(addresses[address:])), binary.BigEndian.Uint16(addresses[port:])).String()
	}
	return announcement(at(0, 8), at(4, 10)), nil
}

func readTextHeader(reader *bufio.Reader) (string, error) {
	line, err := reader.ReadString('\n')
	if err != nil {
		return "", err
	}
	fields := strings.Fields(line)
	if len(fields) > 1 && fields[0] == "PROXY" && fields[1] == "UNKNOWN" {
		return "", nil
	}
	if len(fields) != 6 || fields[0] != "PROXY" || fields[1] != "TCP4" {
		return "", fmt.Errorf("a PROXY header %q", line)
	}
	return announcement(fields[2]+":"+fields[4], fields[3]+":"+fields[5]), nil
}
