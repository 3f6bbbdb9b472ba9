// Package frame encodes WebSocket frames (RFC 6455) and writes them to a client without a goroutine per connection.
//
// It promises that a Writer never blocks its caller unless the caller asks for it (Push), that the bytes queued for one client
// are bounded, and that a message is written whole or not at all. A client that accepts no bytes within the write timeout
// loses its queue and its connection. When the kernel refuses a write, the connection ends at once.
package frame

import (
	"encoding/binary"
	"strings"

	"github.com/gorilla/websocket"
)

// The codes with which connections are closed: those of RFC 6455, section 7.4, and those that the
// protocols define.
const (
	CloseNormal        = websocket.CloseNormalClosure
	CloseGoingAway     = websocket.CloseGoingAway
	CloseProtocol      = websocket.CloseProtocolError
	ClosePolicy        = websocket.ClosePolicyViolation
	CloseTooBig        = websocket.CloseMessageTooBig
	CloseRestart       = websocket.CloseServiceRestart
	CloseTryAgain      = websocket.CloseTryAgainLater
	CloseBadRequest    = 4400
	CloseUnauthorized  = 4401
	CloseForbidden     = 4403
	CloseNoSubprotocol = 4406
	CloseInitTimeout   = 4408
	CloseDuplicate     = 4409
	CloseSecondInit    = 4429
	CloseInternal      = 4500
)

// Close is why a connection ends.
type Close struct {
	Code   int
	Reason string // at most maxReason bytes are sent
}

const (
	finalText  = 0x81
	finalClose = 0x88
	finalPing  = 0x89
	finalPong  = 0x8a
	maxControl = 125
	maxReason  = maxControl - 2
)

// AppendTextHeader adds the header of a text message of so many bytes.
func AppendTextHeader(b []byte, length int) []byte { return appendHeader(b, finalText, length) }

// appendHeader adds the header of an unmasked, final frame (RFC 6455, section 5.2).
func appendHeader(b []byte, first byte, length int) []byte {
	switch {
	case length <= 125:
		return append(b, first, byte(length))
	case length <= 0xffff:
		return binary.BigEndian.AppendUint16(append(b, first, 126), uint16(length))
	}
	return binary.BigEndian.AppendUint64(append(b, first, 127), uint64(length))
}

// Text is a text message.
func Text(message []byte) []byte {
	return append(appendHeader(make([]byte, 0, len(message)+10), finalText, len(message)), message...)
}

// control is a ping, pong or close; what is too long for one is cut off.
func control(first byte, payload []byte) []byte {
	payload = payload[:min(len(payload), maxControl)]
	return append(appendHeader(make([]byte, 0, len(payload)+2), first, len(payload)), payload...)
}

// Frame cuts the reason between letters: clients take half a letter for a fault of ours.
func (c Close) Frame() []byte {
	reason := c.Reason[:min(len(c.Reason), maxReason)]
	if len(reason) < len(c.Reason) {
		reason = strings.ToValidUTF8(reason, "")
	}
	return control(finalClose, websocket.FormatCloseMessage(c.Code, reason))
}

// Ping is a ping without a payload.
func Ping() []byte { return control(finalPing, nil) }

// Pong answers a ping with its payload.
func Pong(payload []byte) []byte { return control(finalPong, payload) }

// IsClose tells whether the frame is a close.
func IsClose(frame []byte) bool { return len(frame) > 0 && frame[0] == finalClose }
