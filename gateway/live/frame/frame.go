// Package frame encodes WebSocket frames (RFC 6455) and writes them to a client without a goroutine per connection.
//
// It promises that a Writer blocks no caller, except in Push; that the bytes queued for one client are bounded; and that the
// client receives whole messages in order. A client that accepts no bytes within the write timeout loses its queue, and its
// connection ends with CloseTryAgain. When the kernel reports an error of the connection, the Writer aborts it.
package frame

import (
	"encoding/binary"
	"strings"

	"github.com/gorilla/websocket"
)

// The codes with which connections are closed: those of RFC 6455, section 7.4, and those that the
// GraphQL protocols define.
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

// Close is why a connection ends. The reason is cut off after maxReason bytes.
type Close struct {
	Code   int
	Reason string
}

const (
	finalText  = 0x81
	finalClose = 0x88
	finalPing  = 0x89
	finalPong  = 0x8a
	maxControl = 125
	maxReason  = maxControl - 2
)

// AppendTextHeader appends the header of a text message with a payload of length bytes.
func AppendTextHeader(b []byte, length int) []byte { return appendHeader(b, finalText, length) }

func appendHeader(b []byte, first byte, length int) []byte {
	switch {
	case length <= 125:
		return append(b, first, byte(length))
	case length <= 0xffff:
		return binary.BigEndian.AppendUint16(append(b, first, 126), uint16(length))
	}
	return binary.BigEndian.AppendUint64(append(b, first, 127), uint64(length))
}

// Text returns the frame of a text message.
func Text(message []byte) []byte {
	return append(AppendTextHeader(make([]byte, 0, len(message)+10), len(message)), message...)
}

// Ping returns a ping without a payload.
func Ping() []byte { return control(finalPing, nil) }

// Pong returns the answer to a ping with this payload.
func Pong(payload []byte) []byte { return control(finalPong, payload) }

// IsClose reports whether the frame is a close frame.
func IsClose(frame []byte) bool { return len(frame) > 0 && frame[0] == finalClose }

// Frame returns the close frame. It cuts the reason between characters: clients report half a character as an error of the
// server.
func (c Close) Frame() []byte {
	reason := c.Reason[:min(len(c.Reason), maxReason)]
	if len(reason) < len(c.Reason) {
		reason = strings.ToValidUTF8(reason, "")
	}
	return control(finalClose, websocket.FormatCloseMessage(c.Code, reason))
}

// control returns a ping, pong or close frame. A payload that is too long for a control frame is cut off.
func control(first byte, payload []byte) []byte {
	payload = payload[:min(len(payload), maxControl)]
	return append(appendHeader(make([]byte, 0, len(payload)+2), first, len(payload)), payload...)
}
