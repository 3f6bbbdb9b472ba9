package ingress

import (
	"bufio"
	"errors"
	"fmt"
	"io"

	"github.com/mochi-mqtt/server/v2/packets"
)

// errTooLarge reports a packet over the limit. Its body is not read.
var errTooLarge = packets.ErrPacketTooLarge

const chunk = 4 << 10 // growth of a packet's buffer as bytes arrive

// readPacket reads and decodes one packet of at most limit bytes. It allocates memory as bytes arrive, not as a
// header announces. The second result is the size in bytes. An error that is a packets.Code is the client's fault.
func readPacket(r *bufio.Reader, version byte, limit int) (*packets.Packet, int, error) {
	first, err := r.ReadByte()
	if err != nil {
		return nil, 0, err
	}
	p := &packets.Packet{ProtocolVersion: version}
	if err := p.FixedHeader.Decode(first); err != nil {
		return nil, 0, err
	}
	size, length := 1, 0
	for shift := 0; ; shift += 7 {
		b, err := r.ReadByte()
		if err != nil {
			return nil, 0, err
		}
		size++
		length |= int(b&0x7F) << shift
		if b&0x80 == 0 {
			break
		}
		if shift == 21 {
			return nil, 0, packets.ErrMalformedVariableByteInteger
		}
	}
	if size += length; size > limit {
		return nil, 0, errTooLarge
	}
	p.FixedHeader.Remaining = length
	body := make([]byte, 0, min(length, chunk))
	for len(body) < length {
		if len(body) == cap(body) {
			body = append(body, 0)[:len(body)]
		}
		n := min(length, cap(body))
		got, err := io.ReadFull(r, body[len(body):n])
		body = body[:len(body)+got]
		if err != nil {
			return nil, 0, err
		}
	}
	return p, size, decode(p, body)
}

// decode decodes the body. The library may panic on malformed properties.
func decode(p *packets.Packet, body []byte) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = packets.ErrMalformedPacket
		}
	}()
	switch p.FixedHeader.Type {
	case packets.Connect:
		err = p.ConnectDecode(body)
	case packets.Publish:
		err = p.PublishDecode(body)
	case packets.Puback:
		err = p.PubackDecode(body)
	case packets.Subscribe:
		err = p.SubscribeDecode(body)
	case packets.Unsubscribe:
		err = p.UnsubscribeDecode(body)
	case packets.Pingreq:
	case packets.Disconnect:
		err = p.DisconnectDecode(body)
	case packets.Pubrel, packets.Pubrec, packets.Pubcomp:
		err = packets.ErrQosNotSupported
	default:
		err = packets.ErrProtocolViolation
	}
	if err == nil {
		return nil
	}
	code, ok := errors.AsType[packets.Code](err)
	if !ok {
		code = packets.ErrMalformedPacket
	}
	return packets.Code{Code: code.Code, Reason: fmt.Sprintf("%.200s", code.Reason)}
}

// buffered reports whether the buffer has a whole packet, which can be read without blocking.
func buffered(r *bufio.Reader) bool {
	head, _ := r.Peek(min(r.Buffered(), 5)) // cannot fail: the bytes are buffered
	length := 0
	for i := 1; i < len(head); i++ {
		length |= int(head[i]&0x7F) << (7 * (i - 1))
		if head[i]&0x80 == 0 {
			return r.Buffered() >= 1+i+length
		}
	}
	return false
}
